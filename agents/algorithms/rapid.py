"""RAPID: PPO that also imitates the best episodes it has had, of which those that see much count as good.

Where the task pays next to never, an episode that saw many different states, and rare ones, is worth repeating. So every episode
that ends is scored,

    score = w0 (task return) + w1 (share of different states) + w2 (mean of 1 / sqrt N(s)),

the steps of the best ones are kept, and after every PPO update the policy makes a few steps of imitation, on minibatches drawn from
all of them alike: it descends - log pi(a | s), or for continuous actions the squared error of the mean. An episode is scored as a
whole, so, other than with a bonus, the steps that led to something new are credited too, and nothing vanishes while it is learned.
Source: Zha et al. 2021, "Rank the Episodes: A Simple Approach for Exploration in Procedurally-Generated Environments".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import obs_as_tensor
from typing_extensions import override

from shapegym.agents.algorithms.ranking.best import BestEpisodes, Weights
from shapegym.agents.algorithms.ranking.notes import StepNotes
from shapegym.agents.algorithms.ranking.steps import OpenEpisodes, Steps
from shapegym.agents.algorithms.ranking.visits import count, no_visits, require_table
from shapegym.agents.algorithms.registry import register_algorithm
from shapegym.agents.callbacks import callbacks_of
from shapegym.agents.errors import SettingsError
from shapegym.shaping.arrays import tree_take
from shapegym.shaping.errors import ShapingError, said_as, suggest
from shapegym.shaping.limits import Count, Natural, NonNegative, Positive, checked
from shapegym.shaping.states.keys import Key, Keys, SimHash
from shapegym.shaping.surfaces.collect import declared_features
from shapegym.shaping.surfaces.layers import batch_layers
from shapegym.shaping.transitions import Spec

log = logging.getLogger("shapegym")

_MANY = 256
"""States that are seldom all different unless their kind never repeats."""

_ALL_DIFFERENT = (
    "RAPID: the first %s states were all different, so no episode saw more than another, and only what the task pays ranks them. "
    "Where states hardly ever repeat, give a resolution, hash_bits, or a coarser key."
)

_LIMITS: dict[str, Any] = {
    **dict.fromkeys(("extrinsic_weight", "local_weight", "global_weight"), NonNegative),
    **dict.fromkeys(("buffer_size", "imitation_batch_size", "longest"), Count),
    "imitation_steps": Natural,
    "imitate_until": Count | None,
    "resolution": Positive | None,
    "hash_bits": Count | None,
}


class RAPID(PPO):
    """PPO that imitates its best episodes; takes any reward, also none beside the task's.

        model = make_agent("RAPID", "shapegym/MiniGrid-KeyCorridorS3R3-v0", seed=0)
        model.learn(3_000_000)

    Episodes are ranked by what the task paid; a bonus in the wired reward reaches PPO alone. Logs ``rapid/loss``, ``rapid/steps``
    of imitation, ``rapid/pairs`` and ``rapid/episodes`` kept, ``rapid/return`` and ``rapid/score`` of them (means), ``rapid/worst``
    (the lowest score) and ``rapid/states`` counted. What is kept and counted is saved with the model.

    Args:
        policy: as PPO's.
        env: as PPO's. `VecNormalize` must leave observations as they are: what is kept would change its meaning.
        extrinsic_weight: w0.
        local_weight: w1.
        global_weight: w2.
        buffer_size: state-action pairs that are kept, in whole episodes.
        imitation_steps: of gradient descent after each update of PPO, with its optimiser and learning rate.
        imitation_batch_size: pairs of each.
        imitate_until: global step at which imitation ends, its steps having become fewer linearly; None goes on as it began.
        key: what makes two states the same where visits are counted: a selector ("features.agent_pos"), a state function, or
            several of them; None is the whole observation.
        resolution: count x as the multiple of ``resolution`` that is nearest to it, as in `CountBonus`.
        hash_bits: count signs of so many random projections (`SimHash`).
        longest: steps of the longest episodes that are ranked. Open episodes take as many steps of every lane at most.
        **kwargs: PPO's.

    Attributes:
        best: the episodes that are kept.
        visits: how often every state was visited in the episodes that ended.

    Raises:
        SettingsError: if a setting is out of range or, when learning begins, states cannot be read so.
    """

    visits: dict[str, Any]
    began: dict[str, Any]
    best: BestEpisodes
    open: OpenEpisodes

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str,
        *,
        extrinsic_weight: float = 1.0,
        local_weight: float = 0.1,
        global_weight: float = 0.001,
        buffer_size: int = 10_000,
        imitation_steps: int = 5,
        imitation_batch_size: int = 256,
        imitate_until: int | None = None,
        key: Key | Sequence[Any] | None = None,
        resolution: float | None = None,
        hash_bits: int | None = None,
        longest: int = 4096,
        **kwargs: Any,
    ) -> None:
        self.extrinsic_weight = extrinsic_weight
        self.local_weight = local_weight
        self.global_weight = global_weight
        self.buffer_size = buffer_size
        self.imitation_steps = imitation_steps
        self.imitation_batch_size = imitation_batch_size
        self.imitate_until = imitate_until
        self.key = key
        self.resolution = resolution
        self.hash_bits = hash_bits
        self.longest = longest
        for name, hint in _LIMITS.items():
            checked(f"RAPID: {name}", hint, getattr(self, name), SettingsError)
        super().__init__(policy, env, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.env is not None:
            self._require_readable()
        if hasattr(self, "best"):
            self._require_memory()
        else:
            self._begin()

    def _require_memory(self) -> None:
        """Raise ValueError if what was loaded would lead kernels astray."""
        require_table(self.visits)
        self._keys().require_begun(self.began)

    def _begin(self) -> None:
        self.visits = no_visits()
        self.began = self._keys().blank(self._spec())
        nothing = self._rollout(np.zeros((0, self.n_envs), np.uint64), np.zeros((0, self.n_envs)))
        self.best = BestEpisodes.none(Steps.flat(nothing))
        self.open = OpenEpisodes.none(nothing)
        self.owed = 0.0  # steps of imitation that the decline has left over, below 1

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_notes"]

    @override
    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "RAPID",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        self._require_readable()
        if not hasattr(self, "_notes"):
            self._notes = StepNotes(self._keys(), self.began)
        return super().learn(
            total_timesteps,
            [self._notes, *callbacks_of(callback)],
            log_interval,
            tb_log_name,
            reset_num_timesteps,
            progress_bar,
        )

    @override
    def train(self) -> None:
        self._rank()
        super().train()
        self._imitate()

    # ------------------------------------------------------------------ ranking

    def _rank(self) -> None:
        """Rank the episodes that ended in the rollout; all of them are counted before any is scored."""
        first = self.rollout_buffer.episode_starts.astype(bool)
        last = np.concatenate([first[1:], np.asarray(self._last_episode_starts, dtype=bool)[None]])
        rollout = self._rollout(*self._notes.taken())
        before = self.open
        # Steps are missing if a rollout was stopped, or if the environments are others.
        if before.clock != self.num_timesteps - first.size or len(before.begun) != self.n_envs:
            before = OpenEpisodes.none(rollout)
        longest = min(self.longest, self.buffer_size)
        self.open, ended = before.extended(rollout, first, last, longest, self.num_timesteps)
        if len(ended.lengths):
            known = self.visits["size"]
            count(self.visits, ended.steps.keys)
            if not known and self.visits["size"] == len(ended.steps) >= _MANY:
                log.warning(_ALL_DIFFERENT, len(ended.steps))
            weights = Weights(self.extrinsic_weight, self.local_weight, self.global_weight)
            self.best = self.best.with_more(ended, weights, self.visits, self.buffer_size)

    def _rollout(self, keys: np.ndarray, rewards: np.ndarray) -> Steps:
        buffer = self.rollout_buffer
        steps = slice(len(keys))
        return Steps(tree_take(buffer.observations, steps), buffer.actions[steps], keys, rewards)

    # ------------------------------------------------------------------ imitation

    def _imitate(self) -> None:
        kept, losses = self.best.episodes, []
        if len(kept.steps):
            self.owed += self.imitation_steps * self._share()
            steps, self.owed = int(self.owed), self.owed % 1.0
            for _ in range(steps):
                rows = torch.randint(len(kept.steps), (self.imitation_batch_size,)).numpy()
                loss = self._imitation_loss(kept.steps.take(rows))
                self.policy.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self.policy.optimizer.step()
                losses.append(loss.item())
            for name, values in (("return", self.best.returns), ("score", self.best.scores)):
                self.logger.record(f"rapid/{name}", float(values.mean()))
            self.logger.record("rapid/worst", float(self.best.scores.min()))
        if losses:
            self.logger.record("rapid/loss", float(np.mean(losses)))
        self.logger.record("rapid/steps", len(losses))
        self.logger.record("rapid/pairs", len(kept.steps))
        self.logger.record("rapid/episodes", len(kept.lengths))
        self.logger.record("rapid/states", self.visits["size"])

    def _share(self) -> float:
        """How much of the imitation is left at this time, in [0, 1]."""
        return 1.0 if self.imitate_until is None else max(0.0, 1.0 - self.num_timesteps / self.imitate_until)

    def _imitation_loss(self, steps: Steps) -> torch.Tensor:
        distribution = self.policy.get_distribution(obs_as_tensor(steps.obs, self.device))
        actions = torch.as_tensor(steps.actions, device=self.device).float()
        if isinstance(self.action_space, spaces.Box):
            return (distribution.mode() - actions).square().mean()
        if isinstance(self.action_space, spaces.Discrete):
            actions = actions.long().flatten()
        return -distribution.log_prob(actions).mean()

    # ------------------------------------------------------------------ states

    def _keys(self) -> Keys:
        """How states are told apart."""
        key: Any = tuple(self.key) if isinstance(self.key, list) else self.key
        if key is None:
            space = self.observation_space
            key = tuple(f"obs.{name}" for name in space) if isinstance(space, spaces.Dict) else "obs"
        if self.hash_bits is not None and self.resolution is not None:
            raise SettingsError(
                "RAPID: signs of projections merge near states; give either hash_bits or resolution."
            )
        hashing = None if self.hash_bits is None else SimHash(self.hash_bits)
        with said_as(SettingsError, ShapingError, "RAPID: ", ""):
            return Keys(key, hashing, self.resolution, "RAPID")

    def _spec(self) -> Spec:
        declared = None if self.env is None else declared_features([*batch_layers(self.env)][-1])
        return Spec(self.n_envs, self.observation_space, self.action_space, declared)

    def _require_readable(self) -> None:
        """Raise `SettingsError` unless states can be counted in this environment."""
        keys, spec = self._keys(), self._spec()
        with said_as(SettingsError, ShapingError, "RAPID: ", ""):
            keys.check(spec)
        if keys.of_step:
            raise SettingsError(
                f"RAPID: {keys.of_step[0]!r} describes a step, and what is counted are states: a key is made of observations and "
                "features."
            )
        known = keys.reads if spec.features is None else spec.features
        for name in keys.reads:
            if name not in known:
                raise SettingsError(
                    f"RAPID: the key reads the feature {name!r}, and the environment reports none of that name."
                    f"{suggest(name, known)}"
                )
        normaliser = self.get_vec_normalize_env()
        if normaliser is not None and normaliser.norm_obs:
            raise SettingsError(
                "RAPID keeps observations for long, and VecNormalize changes what they mean as it goes. Use "
                "VecNormalize(norm_obs=False), or normalise with constants."
            )


register_algorithm(RAPID)
