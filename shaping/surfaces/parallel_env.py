"""The PettingZoo surface: the agents of a parallel environment are the lanes."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from pettingzoo import ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from shapegym.shaping.arrays import tree_write
from shapegym.shaping.errors import ObservationError
from shapegym.shaping.surfaces.binding import Binding, BindingOptions
from shapegym.shaping.surfaces.collect import declared_features, stack_features
from shapegym.shaping.types import Expression


class ShapedParallelEnv(Binding, BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo has no types
    """Pays every agent the shaped reward of an expression instead of the task's; the task's own stays in its info.

    Lanes are ``possible_agents`` in order, and terms that share statistics between lanes (lifetime counts) share them between
    agents. An agent that is not alive makes no transition. One that appears, at reset or later, starts an episode; it makes its
    first transition, and is first paid, at the step after. Infos carry the keys of `ShapedEnv`.

    Args:
        env: the parallel environment; all its agents must have equal spaces.
        expression: the reward.
        options: see `BindingOptions`.

    Raises:
        ObservationError: if two agents have different spaces.
        ShapingError: if the expression cannot be bound to this environment.
    """

    def __init__(self, env: ParallelEnv, expression: Expression, **options: Unpack[BindingOptions]) -> None:
        super().__init__(env)
        agents = list(env.possible_agents)
        _require_equal_spaces(env, agents)
        spaces = env.observation_space(agents[0]), env.action_space(agents[0])
        names = tuple(map(str, agents))
        self._bind(expression, options, len(agents), *spaces, declared_features(env), agents=names)
        self._lanes = {agent: lane for lane, agent in enumerate(agents)}
        self._alive = np.zeros(len(agents), dtype=bool)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, dict[str, Any]]]:
        """Start an episode of every agent that is there."""
        obs, infos = self.env.reset(seed=seed, options=options)
        self._require_known(obs)
        self._alive[:] = False
        self._collector.transitions.active[:] = False
        self._begin(obs, infos)
        self._started = True
        return obs, infos

    def step(
        self, actions: dict[Any, Any]
    ) -> tuple[dict[Any, Any], dict[Any, float], dict[Any, bool], dict[Any, bool], dict[Any, dict[str, Any]]]:
        """Advance every living agent by one step; raises `ObservationError` if one of them got no action."""
        self._require_reset()
        idle = [agent for agent, lane in self._lanes.items() if self._alive[lane] and agent not in actions]
        if idle:
            raise ObservationError(
                f"Agents {idle} are alive but got no action; every living agent needs one."
            )
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._require_known(obs)
        transitions = self._collector.transitions
        acting = [
            infos.get(agent, {}) if alive and agent in obs else None
            for agent, alive in zip(self._lanes, self._alive, strict=True)
        ]
        for (agent, lane), info in zip(self._lanes.items(), acting, strict=True):
            transitions.active[lane] = active = info is not None
            transitions.reward[lane] = rewards[agent] if active else 0.0
            transitions.terminated[lane] = active and terminated[agent]
            transitions.truncated[lane] = active and truncated[agent]
        if transitions.active.any():
            self._collector.advance(stack_features(acting, self._collector.names, "a step"))
            for agent, lane in self._lanes.items():
                if transitions.active[lane]:
                    tree_write(transitions.next_obs, lane, obs[agent])
                    tree_write(transitions.action, lane, actions[agent])
            shaped, contributions, records = self.engine.step(transitions)
        else:  # every agent is gone, or about to appear again
            contributions = np.zeros((len(self.engine.addends), len(self._lanes)))
            shaped, records = np.zeros(len(self._lanes)), []
        transitions.first[transitions.active] = False
        np.greater(transitions.active, transitions.terminated | transitions.truncated, out=self._alive)
        self._begin(obs, infos)

        report = {}
        for agent, reward in rewards.items():
            lane = self._lanes[agent]
            paid_parts = contributions[:, lane].tolist()
            report[agent] = self._paid_info(
                infos.get(agent, {}), float(reward), shaped[lane].item(), paid_parts
            )
        agents = list(self._lanes)
        for record in records:
            report[agents[record.lane]]["shaping_episode"] = record.as_info()
        paid = {agent: info["shaped_reward"] for agent, info in report.items()}
        return obs, paid, terminated, truncated, report

    def _require_known(self, obs: dict[Any, Any]) -> None:
        if unknown := obs.keys() - self._lanes.keys():
            raise ObservationError(
                f"The environment has agents {sorted(map(str, unknown))} that are not in its possible_agents."
            )

    def _begin(self, obs: dict[Any, Any], infos: dict[Any, dict[str, Any]]) -> None:
        """Let the agents that are there and were not alive start episodes."""
        starting: list[dict[str, Any] | None] = [None] * len(self._lanes)
        for agent in self.env.agents:
            lane = self._lanes[agent]
            if agent in obs and not self._alive[lane] and not self._collector.transitions.active[lane]:
                self._collector.begin_lane(lane, obs[agent])
                starting[lane] = infos.get(agent, {})
        lanes = np.array([info is not None for info in starting])
        if lanes.any():
            names = self._collector.names_before
            self._collector.begin_features(stack_features(starting, names, "an agent's first state"), lanes)
            self._alive |= lanes


def _require_equal_spaces(env: ParallelEnv, agents: list[Any]) -> None:
    for agent in agents[1:]:
        for kind in ("observation_space", "action_space"):
            ours, theirs = getattr(env, kind)(agents[0]), getattr(env, kind)(agent)
            if ours != theirs:
                raise ObservationError(
                    f"One expression is measured over all agents at once, so they need equal spaces, but the {kind} of "
                    f"{agents[0]!r} is {ours} and that of {agent!r} is {theirs}. Pad or adapt them first (SuperSuit does)."
                )
