"""The PettingZoo surface beyond lockstep: agents that die, come late or differ."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from pettingzoo import ParallelEnv

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import FeatureError, ObservationError, WorldError
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.team import TeamMean


class Race(ParallelEnv):
    """Runners count their steps; each is there from its start to its end, and says so in its info."""

    metadata: ClassVar[dict[str, Any]] = {"name": "race", "render_modes": []}
    render_mode = None

    def __init__(
        self, schedule: dict[str, tuple[int, int]], spaces: dict[str, gym.Space] | None = None
    ) -> None:
        self.schedule = schedule
        self.possible_agents = list(schedule)
        self.agents: list[str] = []
        self.spaces = spaces or {}

    def observation_space(self, agent: str) -> gym.Space:
        return self.spaces.get(agent, SPACE)

    def action_space(self, agent: str) -> gym.Space:
        return ACTIONS

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.now = 0
        self.agents = [agent for agent, (start, _) in self.schedule.items() if start == 0]
        return self.seen(self.agents), self.told(self.agents)

    def step(self, actions: dict[str, Any]) -> Any:
        self.now += 1
        acting = list(actions)
        late = [agent for agent, (start, _) in self.schedule.items() if start == self.now]
        there = acting + late
        ended = {agent: self.schedule[agent][1] <= self.now for agent in there}
        self.agents = [agent for agent in self.possible_agents if agent in there and not ended[agent]]
        rewards = {agent: 1.0 if agent in acting else 0.0 for agent in there}
        return self.seen(there), rewards, ended, dict.fromkeys(there, False), self.told(there)

    def seen(self, agents: list[str]) -> dict[str, np.ndarray]:
        return {agent: np.array([self.now - self.schedule[agent][0]], np.float32) for agent in agents}

    def told(self, agents: list[str]) -> dict[str, dict[str, Any]]:
        return {agent: {"x": float(self.now - self.schedule[agent][0])} for agent in agents}


SPACE = gym.spaces.Box(0.0, 99.0, (1,), np.float32)
ACTIONS = gym.spaces.Discrete(2)
PHI = TaskReward() + Potential("obs[0]", gamma=1.0).named("phi")


def play(env: ShapedParallelEnv, steps: int) -> list[tuple[dict[str, float], dict[str, dict[str, Any]]]]:
    env.reset()
    paid = []
    for _ in range(steps):
        _, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, 0))
        paid.append((rewards, infos))
    return paid


@pytest.mark.filterwarnings(
    "ignore:The old environment creation API:DeprecationWarning"
)  # PettingZoo's own use of it
def test_pettingzoo_accepts_it() -> None:
    from pettingzoo.test import parallel_api_test

    parallel_api_test(ShapedParallelEnv(Race({"a": (0, 5), "b": (0, 3)}), PHI), num_cycles=20)


def test_it_prints_in_a_line() -> None:
    game = ShapedParallelEnv(Race({"a": (0, 3), "b": (0, 1)}), PHI)
    assert str(game) == f"<ShapedParallelEnv of Race: {PHI!r}>"


def test_each_agent_is_paid_its_own_transitions() -> None:
    steps = play(ShapedParallelEnv(Race({"a": (0, 3), "b": (0, 1)}), PHI), 3)
    assert [rewards for rewards, _ in steps] == [{"a": 2.0, "b": 1.0}, {"a": 2.0}, {"a": -1.0}]
    info = steps[0][1]["b"]
    assert info["task_reward"] == 1.0
    assert info["shaped_reward"] == 1.0
    assert info["reward_parts"] == {"task_reward": 1.0, "phi": 0.0}
    assert info["x"] == 1.0
    assert info["shaping_episode"]["length"] == 1
    assert steps[2][1]["a"]["shaping_episode"]["shaped_return"] == 3.0
    assert "shaping_episode" not in steps[0][1]["a"]


def test_an_agent_that_comes_late_starts_an_episode_then() -> None:
    for expression in (PHI, TaskReward() + Potential("features.x", gamma=1.0)):
        steps = play(ShapedParallelEnv(Race({"a": (0, 9), "b": (2, 4)}), expression), 4)
        assert [rewards.get("b") for rewards, _ in steps] == [None, 0.0, 2.0, 0.0]
        assert steps[-1][1]["b"]["shaping_episode"]["length"] == 2


def test_a_step_of_nobody_pays_nobody() -> None:
    steps = play(ShapedParallelEnv(Race({"a": (0, 1), "b": (3, 5)}), PHI), 4)
    assert [rewards for rewards, _ in steps] == [{"a": 1.0}, {}, {"b": 0.0}, {"b": 2.0}]


def test_reset_starts_every_agent_anew() -> None:
    env = ShapedParallelEnv(
        Race({"a": (0, 9), "b": (0, 2)}), CountBonus("obs", scope="episode", exponent=1.0)
    )
    assert play(env, 3)[-1][0] == {"a": 1.0}
    assert [rewards for rewards, _ in play(env, 2)] == [{"a": 1.0, "b": 1.0}] * 2


def test_agents_share_lifetime_statistics() -> None:
    env = ShapedParallelEnv(Race({"a": (0, 9), "b": (0, 9)}), CountBonus("obs", exponent=1.0))
    assert play(env, 1)[0][0] == {"a": 0.5, "b": 0.5}


def test_agents_need_equal_spaces() -> None:
    race = Race({"a": (0, 1), "b": (0, 1)}, {"b": gym.spaces.Box(0.0, 1.0, (2,), np.float32)})
    with pytest.raises(ObservationError, match=r"observation_space of 'a' is .* that of 'b' is"):
        ShapedParallelEnv(race, PHI)


def test_an_agent_that_was_not_announced_is_an_error() -> None:
    race = Race({"a": (0, 9), "b": (2, 9)})
    race.possible_agents = ["a"]
    env = ShapedParallelEnv(race, PHI)
    env.reset()
    env.step({"a": 0})
    with pytest.raises(ObservationError, match=r"\['b'\].*possible_agents"):
        env.step({"a": 0})


def test_so_is_a_reward_of_one() -> None:
    class Overpaid(Race):
        def step(self, actions: dict[str, Any]) -> Any:
            obs, rewards, *others = super().step(actions)
            return obs, {**rewards, "judge": 1.0}, *others

    env = ShapedParallelEnv(Overpaid({"a": (0, 9)}), PHI)
    env.reset()
    with pytest.raises(ObservationError, match=r"\['judge'\].*possible_agents"):
        env.step({"a": 0})


def test_every_living_agent_needs_an_action() -> None:
    env = ShapedParallelEnv(Race({"a": (0, 9), "b": (0, 9)}), PHI)
    env.reset()
    with pytest.raises(ObservationError, match=r"\['b'\] are alive but got no action"):
        env.step({"a": 0})
    with pytest.raises(ObservationError, match="actions are None"):
        env.step(None)


def test_a_missing_feature_is_named() -> None:
    env = ShapedParallelEnv(Race({"a": (0, 9)}), Potential("features.xy", gamma=1.0))
    with pytest.raises(FeatureError, match=r"'xy' .*Did you mean 'x'"):
        env.reset()


def test_stepping_before_reset_is_an_error() -> None:
    with pytest.raises(ResetNeeded):
        ShapedParallelEnv(Race({"a": (0, 9)}), PHI).step({"a": 0})


def test_what_terms_remember_is_saved_and_loaded(tmp_path: Any) -> None:
    env = ShapedParallelEnv(Race({"a": (0, 9), "b": (0, 9)}), CountBonus("obs", exponent=1.0))
    play(env, 1)
    env.save(tmp_path / "state.npz")
    twin = ShapedParallelEnv(Race({"a": (0, 9), "b": (0, 9)}), CountBonus("obs", exponent=1.0))
    twin.load(tmp_path / "state.npz")
    assert play(twin, 1)[0][0] == {"a": 0.25, "b": 0.25}


def test_agents_share_a_world() -> None:
    """A difference reward: what an agent gets beyond the mean of its team."""
    env = ShapedParallelEnv(Race({"a": (0, 4), "b": (0, 4), "c": (2, 4)}), Novel() - TeamMean(Novel()))
    assert env.engine.spec.agents == ("a", "b", "c")
    assert env.engine.spec.worlds == (0, 0, 0)
    env.reset()
    paid = [env.step(dict.fromkeys(env.agents, 0))[1] for _ in range(4)]
    steps = [(1, 1), (2, 2), (3, 3, 1), (4, 4, 2)]  # how long each has run
    for rewards, ages in zip(paid, steps, strict=True):
        acting = {agent: age - sum(ages) / len(ages) for agent, age in zip("abc", ages, strict=False)}
        assert {agent: rewards[agent] for agent in acting} == pytest.approx(acting)


def test_agents_of_a_world_that_end_apart_are_refused_where_a_term_compares_them() -> None:
    race = {"a": (0, 2), "b": (0, 5)}
    env = ShapedParallelEnv(Race(race), TaskReward() + TeamMean(TaskReward()))
    env.reset()
    env.step({"a": 0, "b": 0})
    with pytest.raises(
        WorldError, match=r"Lanes \[0, 1\] share a world, but only \[0\] ended at global step 2.*black_death"
    ):
        env.step({"a": 0, "b": 0})
    plain = ShapedParallelEnv(Race(race), TaskReward())
    plain.reset()
    for _ in range(3):
        plain.step(dict.fromkeys(plain.agents, 0))


def Novel() -> StateReward:
    return StateReward("features.x")
