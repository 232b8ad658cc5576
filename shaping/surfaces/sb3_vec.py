"""The Stable-Baselines3 surface for any ``VecEnv``.

`ShapedVecEnv` pays rewards at their step. `MeasuringVecEnv` only measures, for a rollout or replay buffer that pays later;
`shapegym.wire` puts it around a model's environment.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from operator import is_
from types import FrameType
from typing import Any, ClassVar, Unpack

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from shapegym.shaping.arrays import tree_map
from shapegym.shaping.errors import ObservationError, WiringError
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.surfaces.binding import Binding, BindingOptions
from shapegym.shaping.surfaces.block import Block, Settled
from shapegym.shaping.surfaces.collect import (
    declared_features,
    find_path,
    follow,
    stack_features,
    success_in,
)
from shapegym.shaping.surfaces.intake import hold_lanes, lane_rewards, write_lane, write_lanes
from shapegym.shaping.surfaces.layers import vec_layers
from shapegym.shaping.surfaces.sb3_stand_in import StandInVecEnv
from shapegym.shaping.transitions import Features, Transitions
from shapegym.shaping.types import Expression

MAX_RECORDS = 10_000
"""Finished episodes that are kept until somebody drains them; the oldest are forgotten first."""


MAX_LOST = 1
"""Steps that may be made and not stored: a callback that stops a rollout does so before its step is."""

LARGEST_BESIDE_BOOTSTRAP = 1e4
"""The task reward beside which a float32 still resolves a bootstrap to a thousandth."""

STEP_KEY = "shaping_step"
"""Info key of the first lane: which step of a `MeasuringVecEnv` it was."""

STEPPED_BY_OTHERS = (
    "Do not step the training environment of a wired model, nor what is inside of it: an evaluation on it (EvalCallback or "
    "evaluate_policy with model.get_env()), a callback or another model has moved it on, so the next transition does not begin "
    "where the last one ended. Evaluate on an environment of its own; after an evaluation on this one, learn anew with "
    "reset_num_timesteps=True."
)
NOT_TAKEN = (
    "A model learns from an environment that is measured for another model, or its buffer was exchanged after shapegym.wire "
    "(load_replay_buffer): it would learn from the task reward alone. Give every model an environment of its own, load its buffer, "
    "and wire it."
)
NOT_STEPPED = (
    "A transition was stored, but the environment that measures made no step. The model's environment was replaced after "
    "shapegym.wire (set_env): make a new model, or load this one on the new environment (Algorithm.load), and wire it."
)


class TransitionVecEnv(Binding):
    """Mixin that turns the steps of ``venv`` into `Transitions`; what the two surfaces below share.

    SB3 resets a lane in the step that ends its episode: the true successor is then ``infos[i]["terminal_observation"]``, the
    features of the new episode's first state are in ``reset_infos[i]``, and ``TimeLimit.truncated`` tells truncation from
    termination. An environment whose lanes are arrays gives all this as ``last_step`` (an object with the arrays ``next_obs``,
    ``terminated``, ``truncated`` and the dicts ``features``, ``next_features``), and then nothing here loops over lanes.
    """

    venv: VecEnv
    num_envs: int

    def __init__(self, venv: VecEnv, expression: Expression, **options: Unpack[BindingOptions]) -> None:
        super().__init__(venv)  # type: ignore[call-arg]  # of the class that this is mixed into
        spaces = venv.observation_space, venv.action_space
        self._bind(expression, options, venv.num_envs, *spaces, declared_features(venv))
        self._lanes = vec_layers(venv)[-1]
        self._held = hold_lanes(self._lanes.envs) if isinstance(self._lanes, DummyVecEnv) else []
        self._traces: list[Any] | None = None
        self._records: deque[EpisodeRecord] = deque(maxlen=MAX_RECORDS)
        self._lanes_source = venv.venv if isinstance(venv, VecMonitor) else venv
        self._has_arrays = not isinstance(self._lanes_source, VecEnvWrapper) and hasattr(
            self._lanes_source, "last_step"
        )
        # Lanes that start an episode, their first observations and features. Taken up when the next step is made, so that the
        # transitions of the last one stay readable until then.
        self._starts: tuple[np.ndarray, VecEnvObs, Features] | None = None

    @property
    def transitions(self) -> Transitions:
        """The transitions of the last step, valid until the next."""
        return self._collector.transitions

    @property
    def last_task_reward(self) -> np.ndarray:
        """What the environment paid in the last step, (B,) float64, valid until the next."""
        return self.transitions.reward

    def drain_records(self) -> list[EpisodeRecord]:
        """Return the episodes that finished since the last call (the latest 10,000 of them)."""
        records = list(self._records)
        self._records.clear()
        return records

    def reset(self) -> VecEnvObs:
        """Start an episode in every lane."""
        obs = self.venv.reset()
        self._traces = self._find_traces()
        self._plan_starts(np.ones(self.num_envs, dtype=bool), obs)
        self._started = True
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Start a step."""
        if not self._started:
            raise WiringError(
                "The environment was stepped before its first reset, so s_t is unknown: call reset() first."
            )
        if self._traces is not None and not all(map(is_, self._traces, self._find_traces())):
            raise WiringError(STEPPED_BY_OTHERS)
        write_lanes(self.transitions.action, actions, what="action")
        self.venv.step_async(actions)

    def _next_transitions(self) -> tuple[Transitions, VecEnvStepReturn]:
        """Finish the wrapped environment's step; return it as transitions, and as it is."""
        step = obs, reward, dones, infos = self.venv.step_wait()
        self._traces = self._find_traces()
        self._take_starts()
        transitions = self._read_arrays() if self._has_arrays else self._read_infos(obs, dones, infos)
        transitions.reward[:] = lane_rewards(reward, self.num_envs)
        if dones.any():
            self._plan_starts(np.array(dones, dtype=bool), obs)
        return transitions, step

    def _find_traces(self) -> list[Any]:
        """Objects that are others after somebody resets the wrapped environment, or steps a lane that lives in this process."""
        if self._held:
            return [method.returned for method in self._held]
        held = vars(self._lanes)
        return [held.get("last_step")] if self._has_arrays else list(held.get("reset_infos", ()))

    def _read_arrays(self) -> Transitions:
        last = self._lanes_source.last_step  # type: ignore[attr-defined]
        transitions = self._collector.advance(_pick(last.next_features, self._collector.names, "a step"))
        write_lanes(transitions.next_obs, last.next_obs)
        transitions.terminated[:] = last.terminated
        transitions.truncated[:] = last.truncated
        transitions.features = _pick(last.features, self._collector.names_before, "a state")
        return transitions

    def _read_infos(self, obs: VecEnvObs, dones: np.ndarray, infos: list[dict[str, Any]]) -> Transitions:
        transitions = self._collector.advance(stack_features(infos, self._collector.names, "a step"))
        write_lanes(transitions.next_obs, obs)
        transitions.terminated[:] = dones
        transitions.truncated[:] = False
        for lane in np.flatnonzero(dones).tolist():
            info = infos[lane]
            if "terminal_observation" not in info:
                raise ObservationError(
                    f"The episode of lane {lane} ended, but its info has no 'terminal_observation', so the state it ended in is "
                    "unknown. An SB3 VecEnv must put it there when it resets the lane."
                )
            write_lane(transitions.next_obs, lane, info["terminal_observation"])
            transitions.truncated[lane] = truncated = bool(info.get("TimeLimit.truncated", False))
            transitions.terminated[lane] = not truncated
        return transitions

    def _plan_starts(self, lanes: np.ndarray, obs: VecEnvObs) -> None:
        features: Features = {}
        if self._collector.names_before and not self._has_arrays:
            given = getattr(self._lanes, "reset_infos", [{}] * self.num_envs)
            infos = [info if starts else None for info, starts in zip(given, lanes, strict=True)]
            features = stack_features(infos, self._collector.names_before, "a reset")
        self._starts = (lanes, tree_map(np.copy, obs), features)

    def _take_starts(self) -> None:
        self.transitions.first[:] = False
        if self._starts is None:
            return
        lanes, obs, features = self._starts
        self._starts = None
        if self._has_arrays:  # its last_step holds the features of s_t
            write_lanes(self.transitions.next_obs, obs, lanes)
            self.transitions.first[lanes] = True
        else:
            self._collector.begin(obs, features, lanes)


class ShapedVecEnv(TransitionVecEnv, VecEnvWrapper):
    """Pays the shaped reward of an expression instead of the task's.

    Where an episode ends, the lane's info gets ``shaping_episode``: ``task_return``, ``shaped_return``, ``length``, ``success`` and
    ``parts``, the sum of each addend. Put it inside ``VecNormalize``: off-policy algorithms store the reward that ``VecNormalize``
    got, so a wrapper outside of it changes nothing.

    Args:
        venv: the environments. Features are read from their infos; declared ones (``features``) are checked at once.
        expression: the reward.
        options: see `BindingOptions`.

    Attributes:
        last_contributions: what each addend paid in the last step, (K, B) float64, valid until the next.
        last_shaped_reward: their sum, (B,) float64.

    Raises:
        ShapingError: if the expression cannot be bound to these environments.
    """

    def __init__(self, venv: VecEnv, expression: Expression, **options: Unpack[BindingOptions]) -> None:
        super().__init__(venv, expression, **options)
        self.last_contributions = np.zeros((len(self.engine.addends), self.num_envs))
        self.last_shaped_reward = np.zeros(self.num_envs)

    @property
    def reward_parts(self) -> dict[str, np.ndarray]:
        """What each addend paid in the last step, (B,) each."""
        return {
            name: values.copy()
            for name, values in zip(self.engine.addends, self.last_contributions, strict=True)
        }

    def step_wait(self) -> VecEnvStepReturn:
        """Finish a step; the rewards are the shaped ones, (B,) float32."""
        transitions, (obs, _, dones, infos) = self._next_transitions()
        self.last_shaped_reward, self.last_contributions, records = self.engine.step(transitions)
        for record in records:
            infos[record.lane].update(self._told({}, {"shaping_episode": record.as_info()}))
        self._records.extend(records)
        return obs, self.last_shaped_reward.astype(np.float32), dones, infos


class MeasuringVecEnv(TransitionVecEnv, StandInVecEnv):
    """Measures every transition and leaves the task reward as it is: a rollout or replay buffer pays later, with hindsight.

    It stands in the place of ``venv``, and counts as one of its class. Episodes are booked when a buffer settles them, which
    on-policy is after the rollout: use `drain_records`; infos hold none.

    A buffer that reads from it says so (`begin`) and takes every step (`take`). Then a model of another buffer cannot learn from
    it, and what is stored is what was measured. An evaluation between two calls of ``learn`` enters the books; ``learn`` must then
    begin with a reset.

    Args:
        venv: the environments.
        expression: the reward.
        capacity: steps between two settlements: the rollout's length, or 1 for a replay buffer.
        options: see `BindingOptions`. With ``pay_at_end`` episodic nodes are booked when an episode ends, as replay buffers pay
            them; without it from one block to the next, and what learns does so when a block is settled.

    Attributes:
        steps: how many steps were made.
        last_parts: parts of the last step, items behind them, (N', B) float64, valid until the next.
    """

    has_hindsight: ClassVar[bool] = True

    def __init__(
        self, venv: VecEnv, expression: Expression, *, capacity: int, **options: Unpack[BindingOptions]
    ) -> None:
        if not options.get("pay_at_end"):  # a rollout: what learns learns from it before it is paid
            options.setdefault("learn_every", None)
        super().__init__(venv, expression, **options)
        self.steps = 0
        self.last_parts = np.zeros((len(self.engine.program.row_names), self.num_envs))
        self._block = Block(capacity)
        self._is_bootstrapped = not options.get("pay_at_end")
        self._taken: int | None = None
        """The steps made when the buffer took its last; None while no buffer reads."""
        self._reset_at = 0
        self._reset_since_taken = False

    @property
    def unsettled(self) -> int:
        """Steps that wait for `settle`."""
        return self._block.length

    def reset(self) -> VecEnvObs:
        """Start an episode in every lane.

        Raises:
            WiringError: if it is a model of another buffer that begins to learn.
        """
        if self._taken is not None and not self._is_read_by(_learner()):
            raise WiringError(NOT_TAKEN)
        obs = super().reset()
        self._reset_at, self._reset_since_taken = self.steps, True
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Start a step.

        Raises:
            WiringError: before the first reset, or if the buffer was exchanged and took none of the last steps.
        """
        if self._taken is not None and not self._reset_since_taken and self.steps - self._taken > MAX_LOST:
            raise WiringError(NOT_TAKEN)
        super().step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Finish a step; the rewards are the task's, but for those beside which a bootstrap drowns (`drowns`)."""
        transitions, (obs, reward, dones, infos) = self._next_transitions()
        self.last_parts = self.engine.measure(transitions)
        if self._block.full:  # steps that no buffer wanted
            self.settle()
        self._block.append(self.last_parts, transitions)
        self.steps += 1
        infos = [{**infos[0], STEP_KEY: self.steps}, *infos[1:]]
        if self._is_bootstrapped and (lost := drowns(transitions.reward, transitions.truncated)).any():
            reward = np.where(lost, 0, reward).astype(reward.dtype)
        return obs, reward, dones, infos

    def _hears_policy(self, options: BindingOptions) -> bool:
        return not options.get("pay_at_end")  # of a rollout buffer

    def _is_read_by(self, model: BaseAlgorithm | None) -> bool:
        buffers = (getattr(model, name, None) for name in ("rollout_buffer", "replay_buffer"))
        return model is None or any(getattr(buffer, "_source", None) is self for buffer in buffers)

    def begin(self) -> None:
        """Start to expect that every step is taken."""
        self._taken = self.steps

    def take(self, info: Mapping[str, Any] | None = None) -> int:
        """Say that the last step is being stored; return how many before it are lost, because a callback stopped the rollout.

        Args:
            info: of the first lane of what is being stored, if the buffer gets it.

        Raises:
            WiringError: if the model's environment is another, or somebody else has moved it on.
        """
        made = self.steps - (self._taken or 0)
        if made < 1:
            raise WiringError(NOT_STEPPED)
        since_reset = self.steps - self._reset_at
        begun = self._reset_since_taken and since_reset == 1
        moved = self._reset_since_taken and not begun and (made > 1 or since_reset < 1)
        if moved or (info is not None and info.get(STEP_KEY, self.steps) != self.steps):
            raise WiringError(STEPPED_BY_OTHERS)
        self.begin()
        self._reset_since_taken = False
        return 0 if begun else made - 1

    def settle(self) -> Settled:
        """Pay and book the steps made since the last call (the latest ``capacity`` of them)."""
        settled = self._block.settle(self.engine)
        self._records.extend(settled.records)
        return settled


def _learner() -> BaseAlgorithm | None:
    """The model whose ``learn`` is resetting the environment, if one is: SB3's environments are not told who uses them."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_setup_learn":
        frame = frame.f_back if frame.f_code.co_name in ("reset", "_learner") else None
    model = None if frame is None else frame.f_locals.get("self")
    return model if isinstance(model, BaseAlgorithm) else None


def drowns(task: np.ndarray, truncated: np.ndarray) -> np.ndarray:
    """Return where a bootstrap would be lost beside the task reward, (..., B) bool: beside a large one or a NaN.

    Where an episode is truncated, on-policy algorithms add their bootstrap to the reward that they get, in float32. There it is 0
    instead, and the buffer adds what was settled.
    """
    return truncated & ~(np.abs(task) <= LARGEST_BESIDE_BOOTSTRAP)


def _pick(features: Features, names: tuple[str, ...], when: str) -> dict[str, np.ndarray]:
    """The named features, and success if there is one."""
    picked = {name: follow(find_path(name, features, when), features) for name in names}
    success = success_in(features)
    return picked if success is None else {**picked, "success": success}
