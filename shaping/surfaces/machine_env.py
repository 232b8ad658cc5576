"""Where a reward machine is, for a policy to see: without it a task with a machine's reward is not Markov."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.files.reward_files import Data, as_expression, as_record
from shapegym.shaping.surfaces.collect import declared_features
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.reward_machine import STATE, RewardMachine
from shapegym.shaping.types import Expression, walk

ENTRY = "machine"
"""The entry of a Dict observation that says where the machine is."""


class MachineObservation(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds the state of a reward machine to what a policy sees; the reward stays as it is.

    The state is one-hot, (S,) in the order of ``machine.states``: behind the numbers of a flat Box observation, as the entry
    ``"machine"`` of a Dict, and else in a Dict of ``"observation"`` and ``"machine"``. Every info has ``machine_state``, its
    number, and ``machine_state_name``; so rewards can read ``features.machine_state`` before and after a step, as in
    ``Potential(Table((0, 1, 2), "features.machine_state"))``. Put it inside the surface that pays the machine:

        env = MachineObservation(gym.make(...), machine)
        env = ShapedEnv(env, TaskReward() + machine + MachinePotential(machine))

    Where lanes are made one by one, each gets its own (``make_vec_env(..., wrapper_class=MachineObservation, wrapper_kwargs=...)``
    of SB3, ``wrappers=`` of ``gym.make_vec``).

    Args:
        env: the environment. Features that the machine reads come from its infos.
        machine: the machine, or a reward with one machine in it; as an expression, plain data or the name of a reward file.
        ends: whether a terminal state of the machine terminates the episode, as in the papers.

    Raises:
        ExpressionError: if there is no machine, or several.
        ObservationError: if a Dict observation has an entry ``"machine"`` already.
        ShapingError: if the machine cannot read this environment.
    """

    def __init__(self, env: gym.Env[Any, Any], machine: Expression | Data, *, ends: bool = True) -> None:
        RecordConstructorArgs.__init__(self, machine=as_record(machine), ends=ends)
        gym.Wrapper.__init__(self, env)
        self.machine = machine = _machine_in(as_expression(machine))
        self.ends = ends
        self._walked = _Walk(env, machine)
        self._kind = _kind(env.observation_space)
        self._size = len(machine.states)
        self._terminal = [name in machine.terminal for name in machine.states]
        self.observation_space = self._space(env.observation_space)
        if (declared := declared_features(env)) is not None:
            self.features = {**declared, STATE: spaces.Discrete(self._size)}

    @property
    def machine_state(self) -> int:
        """The number of the state that the machine is in."""
        engine = self._walked.engine
        return int(engine.states[engine.terms.index(self.machine)]["now"][0])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode, and the machine."""
        obs, info = self._walked.reset(seed=seed, options=options)
        return self._with(obs, 0), self._told(info, 0)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance both by one step; the reward is the environment's."""
        obs, _, terminated, truncated, info = self._walked.step(action)
        state = self.machine_state
        terminated = terminated or (self.ends and self._terminal[state])
        return self._with(obs, state), self._walked.task, terminated, truncated, self._told(info, state)

    def _told(self, info: Mapping[str, Any], state: int) -> dict[str, Any]:
        return {**info, STATE: state, f"{STATE}_name": self.machine.states[state]}

    def _space(self, space: gym.Space) -> gym.Space:
        mark = spaces.Box(0.0, 1.0, (self._size,), np.float32)
        if isinstance(space, spaces.Dict):
            if ENTRY in space.spaces:
                raise ObservationError(
                    f"The observation has an entry {ENTRY!r} already: rename it, or leave MachineObservation out."
                )
            return spaces.Dict({**space.spaces, ENTRY: mark})
        if isinstance(space, spaces.Box) and self._kind == "row":
            low, high = (
                np.concatenate([end, np.full(self._size, at, space.dtype)])
                for end, at in ((space.low, 0), (space.high, 1))
            )
            return spaces.Box(low, high, dtype=low.dtype.type)
        return spaces.Dict({"observation": space, ENTRY: mark})

    def _with(self, obs: Any, state: int) -> Any:
        mark = np.zeros(self._size, np.float32)
        mark[state] = 1.0
        if self._kind == "entries":
            return {**obs, ENTRY: mark}
        if self._kind == "row":
            return np.concatenate([obs, mark.astype(np.asarray(obs).dtype)])
        return {"observation": obs, ENTRY: mark}


class _Walk(ShapedEnv):
    """Measures the machine and tells nobody: the reward that it returns is not used, and infos stay as they are."""

    task = 0.0

    def _paid_info(
        self, info: Mapping[str, Any], task: Any, shaped: Any, contributions: Any
    ) -> dict[str, Any]:
        self.task = task
        return {**info}

    def _abandon(self, lanes: np.ndarray) -> list[EpisodeRecord]:
        return []  # the machine ended the episode

    def _told(self, info: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
        return {**info}


def _machine_in(reward: Any) -> RewardMachine:
    nodes = walk(reward) if isinstance(reward, Expression) else ()
    found = dict.fromkeys(node for node in nodes if isinstance(node, RewardMachine))
    if len(found) != 1:
        raise ExpressionError(
            f"MachineObservation shows a policy one RewardMachine, and {len(found)} are in {reward!r}. Give the one "
            "that is meant."
        )
    return next(iter(found))


def _kind(space: gym.Space) -> str:
    if isinstance(space, spaces.Dict):
        return "entries"
    return "row" if isinstance(space, spaces.Box) and len(space.shape) == 1 else "other"
