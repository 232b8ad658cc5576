"""The PettingZoo surface: the agents of a parallel environment are the lanes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils import BaseParallelWrapper

from shapegym.shaping.errors import ObservationError, WiringError
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.surfaces.binding import Binding, BindingOptions
from shapegym.shaping.surfaces.collect import declared_features, stack_features
from shapegym.shaping.surfaces.intake import (
    as_info,
    as_returned,
    described,
    one_flag,
    one_reward,
    write_lane,
)
from shapegym.shaping.types import Expression


class ShapedParallelEnv(Binding, BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo has no types
    """Pays every agent the shaped reward of an expression instead of the task's; the task's own stays in its info.

    Lanes are ``possible_agents`` in order, and terms that share statistics between lanes (lifetime counts) share them between
    agents. An agent that is not alive makes no transition. One that appears, at reset or later, starts an episode; it makes its
    first transition, and is first paid, at the step after. Infos carry the keys of `ShapedEnv`; None counts as an empty one.

    Args:
        env: the parallel environment; all its agents must have equal spaces.
        expression: the reward.
        options: see `BindingOptions`.

    Raises:
        WiringError: for an AEC environment, whose agents act in turns.
        ObservationError: if two agents have different spaces.
        ShapingError: if the expression cannot be bound to this environment.
    """

    def __init__(self, env: ParallelEnv, expression: Expression, **options: Unpack[BindingOptions]) -> None:
        if isinstance(env, AECEnv):
            raise WiringError(
                f"The agents of {env} act in turns (an AECEnv), and rewards are of steps in which all act. Convert it first: "
                "pettingzoo.utils.conversions.aec_to_parallel(env)."
            )
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
        obs, infos = as_returned(self.env.reset(seed=seed, options=options), "reset")
        infos = self._infos_of(obs, infos)
        self._require_known(obs)
        if self._started:
            self._report(infos, self._abandon(self._alive & ~self._collector.transitions.first))
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
        transitions = self._collector.transitions
        if not isinstance(actions, Mapping):
            raise ObservationError(
                f"The actions are {described(actions)}; they are a dict with one for each agent."
            )
        living = [(agent, lane) for agent, lane in self._lanes.items() if self._alive[lane]]
        if idle := [agent for agent, _ in living if agent not in actions]:
            raise ObservationError(
                f"Agents {idle} are alive but got no action; every living agent needs one."
            )
        for agent, lane in living:
            write_lane(transitions.action, lane, actions[agent], "action")
        self._started = False
        obs, rewards, terminated, truncated, infos = as_returned(self.env.step(actions), "step")
        infos = self._infos_of(obs, infos)
        self._require_known({**obs, **rewards} if isinstance(rewards, Mapping) else obs)
        for agent, _ in living:
            _of(agent, obs, "observation")
        acting = [
            infos[agent] if alive else None for agent, alive in zip(self._lanes, self._alive, strict=True)
        ]
        for (agent, lane), info in zip(self._lanes.items(), acting, strict=True):
            transitions.active[lane] = active = info is not None
            transitions.reward[lane] = one_reward(_of(agent, rewards, "reward")) if active else 0.0
            for name, flags in (("terminated", terminated), ("truncated", truncated)):
                getattr(transitions, name)[lane] = active and one_flag(_of(agent, flags, name), name)
        if transitions.active.any():
            self._collector.advance(stack_features(acting, self._collector.names, "a step"))
            for agent, lane in self._lanes.items():
                if transitions.active[lane]:
                    write_lane(transitions.next_obs, lane, obs[agent])
            shaped, contributions, records = self.engine.step(transitions)
        else:  # every agent is gone, or about to appear again
            contributions = np.zeros((len(self.engine.addends), len(self._lanes)))
            shaped, records = np.zeros(len(self._lanes)), []
        transitions.first[transitions.active] = False
        np.greater(transitions.active, transitions.terminated | transitions.truncated, out=self._alive)
        self._begin(obs, infos)
        self._started = True

        report = {}
        for agent, reward in rewards.items():
            lane = self._lanes[agent]
            task, paid_parts = one_reward(reward), contributions[:, lane].tolist()
            report[agent] = self._paid_info(infos.get(agent, {}), task, shaped[lane].item(), paid_parts)
        self._report(report, records)
        paid = {agent: info["shaped_reward"] for agent, info in report.items()}
        return obs, paid, terminated, truncated, report

    def _report(self, infos: dict[Any, dict[str, Any]], records: list[EpisodeRecord]) -> None:
        agents = list(self._lanes)
        for record in records:
            if (agent := agents[record.lane]) in infos:
                infos[agent] = self._told(infos[agent], {"shaping_episode": record.as_info()})

    def _require_known(self, obs: dict[Any, Any]) -> None:
        if unknown := obs.keys() - self._lanes.keys():
            raise ObservationError(
                f"The environment has agents {sorted(map(str, unknown))} that are not in its possible_agents."
            )

    def _infos_of(self, obs: Any, infos: Any) -> dict[Any, dict[str, Any]]:
        """Return an info for every agent that is there, empty where the environment says nothing."""
        if not isinstance(obs, Mapping):
            raise ObservationError(
                f"The environment returned {described(obs)} as observations; a ParallelEnv returns a dict with one for each agent."
            )
        infos = as_info(infos, "infos")
        return {agent: {**as_info(infos.get(agent))} for agent in dict.fromkeys((*obs, *infos))}

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


def _of(agent: Any, values: Any, what: str) -> Any:
    """Return an agent's reward or flag."""
    if not isinstance(values, Mapping) or agent not in values:
        raise ObservationError(
            f"The environment returned no {what} for {agent!r}, which acted; it returned {described(values)}."
        )
    return values[agent]
