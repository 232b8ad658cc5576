"""What all surfaces share: an expression bound to the lanes of an environment."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded

from shapegym.shaping.errors import WiringError, suggest
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.files.reward_files import as_expression
from shapegym.shaping.files.state_files import load_engine, load_models, save_engine
from shapegym.shaping.surfaces.collect import Collector
from shapegym.shaping.surfaces.intake import SHAPED_TWICE
from shapegym.shaping.transitions import Spec
from shapegym.shaping.types import Expression
from shapegym.shaping.written import cut


class BindingOptions(TypedDict, total=False):
    """How an expression is bound, the same on every surface; all are optional.

    Attributes:
        gamma: the agent's discount, for potentials.
        seed: of the random choices that terms make; 0 if not given.
        on_nonfinite: a NaN or infinite part is an error ("raise", the default), or counts as 0 with a warning ("zero").
        pay_at_end: allow episodic nodes, paying an episode's sum at its last step: late credit, so a different algorithm.
        learn_every: steps between two fits of what learns, where rewards are paid at once; 128 if not given.
        answers: the correspondence of nodes that ask an annotator, with a log on disk for runs that are to be repeated.
        flat_info: infos without nesting, every entry of ours an array or scalar of NumPy under a key such as
            ``reward_parts/potential``, for libraries that make tensors of infos; no if not given.
    """

    gamma: float | None
    seed: int
    on_nonfinite: Literal["raise", "zero"]
    pay_at_end: bool
    learn_every: int | None
    answers: Correspondence | None
    flat_info: bool


def require_options(taker: str, options: Iterable[str]) -> None:
    """Raise `TypeError` for a name that is no option; ``taker`` is who was called."""
    known = BindingOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"{taker} takes no option {name!r}.{suggest(name, known)}")


def require_unshaped(surface: Binding) -> None:
    """Raise `WiringError` if what ``surface`` was put around is shaped, as far as it lives in this process."""
    if inner := next((layer for layer in inside(surface) if isinstance(layer, Binding)), None):
        raise WiringError(SHAPED_TWICE.format(type(inner).__name__))


def inside(layer: Any) -> Iterator[Any]:
    """Yield what a wrapper of any library wraps, and what that wraps."""
    for name in ("env", "venv", "par_env", "aec_env", "envs", "vec_envs"):
        inner = vars(layer).get(name) if hasattr(layer, "__dict__") else None
        for each in inner if isinstance(inner, (list, tuple)) else () if inner is None else (inner,):
            yield each
            yield from inside(each)


class Binding:
    """Mixin of the surfaces.

    They raise `FeatureError` if an info lacks a feature that is read (on reset: of s_t), `NonFiniteError` for a part that is not
    finite if ``on_nonfinite="raise"``, and `ResetNeeded` (SB3: `WiringError`) if they are stepped before the first reset.

    Attributes:
        engine: the `RewardEngine`.
    """

    engine: RewardEngine

    has_hindsight: ClassVar[bool] = False
    """Whether rewards are paid later than at their step, so that episodic nodes need no ``pay_at_end``."""

    def _bind(
        self,
        expression: Expression,
        options: BindingOptions,
        num_lanes: int,
        observation_space: gym.Space,
        action_space: gym.Space,
        features: Mapping[str, gym.Space] | None,
        *,
        agents: tuple[str, ...] = (),
    ) -> None:
        """Make the engine; spaces are those of one lane, and lanes that are ``agents`` share one world.

        Raises:
            TypeError: for an option that there is not.
            HindsightError: if the expression is episodic, rewards are paid at once, and ``pay_at_end`` was not asked for.
            WiringError: if a term reads what only the agent knows, and nobody here does.
            ShapingError: if a term cannot be measured on this environment.
        """
        surface = type(self).__name__
        require_options(surface, options)
        require_unshaped(self)
        given: dict[str, Any] = {**options}
        of_spec = {name: given.pop(name) for name in ("gamma", "seed") if name in given}
        self._flat_info = given.pop("flat_info", False)
        worlds = (0,) * len(agents)
        spec = Spec(
            num_lanes, observation_space, action_space, features, agents=agents, worlds=worlds, **of_spec
        )
        self.engine = RewardEngine(as_expression(expression), spec, **given)
        if not self.has_hindsight:
            self.engine.require_online(surface)
        if (readers := self.engine.policy_readers) and not self._hears_policy(options):
            raise WiringError(
                f"{readers[0]!r} reads the log-probabilities of the agent's actions, which only the rollout buffer of an on-policy "
                "model knows. Wire such a model: shapegym.wire(PPO(...), expression)."
            )
        self._collector = Collector(self.engine)
        self._started = False
        self._cut_after: set[int] = set()
        self._said_cut = False

    def _hears_policy(self, options: BindingOptions) -> bool:
        """Whether somebody tells the engine how likely the agent's actions were (`RewardEngine.hear_policy`)."""
        del options
        return False

    def _abandon(self, lanes: np.ndarray) -> list[EpisodeRecord]:
        """Close the books of open episodes that are reset before their end, in the lanes of a (B,) mask.

        Warns where it looks as if something outside ended them, which this surface cannot see.
        """
        records = self.engine.abandon(lanes) if lanes.any() else []
        lengths, before = {record.length for record in records}, self._cut_after
        self._cut_after = lengths or before
        lost = self.engine.tape is not None
        if lengths and not self._said_cut and (lost or max(lengths & before, default=1) > 1):
            self._said_cut = True
            surface, paid = type(self).__name__, " What was to be paid at its end is lost." if lost else ""
            warnings.warn(
                f"{surface}: an episode was reset after {max(lengths)} steps without having ended.{paid} If something outside ends "
                f"episodes, such as a TimeLimit around it, put it inside: {surface}(TimeLimit(env, ...), ...), or "
                "gym.make(..., max_episode_steps=...).",
                RuntimeWarning,
                stacklevel=4,
            )
        return records

    def _require_reset(self) -> None:
        """Raise `ResetNeeded` before the first reset; and after a step that failed, of which nobody knows how far it went."""
        if not self._started:
            raise ResetNeeded("Call reset() before step(), and again after a step that failed.")

    def __repr__(self) -> str:
        """Class, environment and reward in a line."""
        layers = [*inside(self)]
        spec = next((found for layer in layers if (found := getattr(layer, "spec", None))), None)
        task = spec.id if spec is not None else type(layers[-1]).__name__
        lanes = f"{self.num_envs} x " if hasattr(self, "num_envs") else ""
        reward = repr(self.engine.expression) if "engine" in vars(self) else "not bound yet"
        return f"<{cut(f'{type(self).__name__} of {lanes}{task}: {reward}')}>"

    __str__ = __repr__

    def save(self, path: str | Path) -> None:
        """Save what the terms remember; see `shapegym.shaping.files.state_files`."""
        save_engine(self.engine, path)

    def load(self, path: str | Path) -> None:
        """Continue from `save`; then reset, because a file holds no environment.

        Raises:
            StateFileError: if the file is corrupt or belongs to another expression or number of lanes; nothing has changed.
        """
        load_engine(self.engine, path)
        self._started = False

    def load_models(self, path: str | Path) -> tuple[str, ...]:
        """Let the models begin with what equal ones had learned in another run; see `shapegym.shaping.files.state_files`."""
        return load_models(self.engine, path)

    def _paid_info(
        self, info: Mapping[str, Any], task: Any, shaped: Any, contributions: Any
    ) -> dict[str, Any]:
        """Return ``info`` and, what a step paid: numbers of one lane, or arrays of all."""
        parts = dict(zip(self.engine.addends, contributions, strict=True))
        return self._told(info, {"task_reward": task, "shaped_reward": shaped, "reward_parts": parts})

    def _told(self, info: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``info`` with what is ``said``, nested or flat as was asked for."""
        return {**info, **(dict(_flattened(said)) if self._flat_info else said)}


def _flattened(tree: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{under}{key}/")
        else:
            yield f"{under}{key}", np.asarray(value)[()]  # a scalar of NumPy, which has a dtype
