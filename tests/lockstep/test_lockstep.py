"""One stream of transitions means the same reward on every surface, for every node.

The reference is the engine, fed with transitions built by hand from the script that the environments play. What the engine
makes of them is held to plain loops in tests/shaping. A node that is registered joins by its `examples`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo import ParallelEnv
from script_reference import actions_at, hand_built

import shapegym.shaping
from shapegym.shaping.errors import HindsightError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.testing import examples
from shapegym.shaping.testing.scripted import SCRIPTED_FEATURES, ScriptedEnv
from shapegym.shaping.transitions import Spec
from shapegym.shaping.tree import terms_of
from shapegym.shaping.types import NODES, Example, Expression, ObservationKind, is_episodic

STEPS = 26
LANES = (1, 3, 16)  # 16 with the slow tests: of three, some end already where others go on
EXAMPLES = examples()
CASES = [
    pytest.param(example, id=f"{name}-{number}")
    for name, shown in EXAMPLES.items()
    for number, example in enumerate(shown)
]


@dataclass
class Paid:
    """What a surface paid: rewards (T, B), task rewards, parts by name, and finished episodes as (t, lane, record)."""

    rewards: list[Any] = field(default_factory=list)
    task: list[Any] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    episodes: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)


# ---------------------------------------------------------------- the reference


def reference(example: Example, lanes: int, *, reset_rows: bool) -> Paid:
    env = ScriptedEnv(example.observation)
    spec = Spec(lanes, env.observation_space, env.action_space, SCRIPTED_FEATURES)
    engine = RewardEngine(example.node, spec, pay_at_end=True)
    paid = Paid()
    for t, transitions in enumerate(hand_built(example.observation, lanes, STEPS, reset_rows=reset_rows)):
        shaped, contributions, records = engine.step(transitions)
        paid.rewards.append(shaped)
        paid.task.append(transitions.reward)
        paid.parts.append(dict(zip(engine.addends, contributions.copy(), strict=True)))
        paid.episodes += [(t, record.lane, record.as_info()) for record in records]
    return paid


# ---------------------------------------------------------------- the surfaces


def gym_env(expression: Expression, observation: ObservationKind, lanes: int) -> Paid:
    env = ShapedEnv(ScriptedEnv(observation), expression, pay_at_end=True)
    env.reset()
    paid = Paid()
    for t in range(STEPS):
        _, reward, terminated, truncated, info = env.step(actions_at(t, 1)[0])
        paid.rewards.append([reward])
        paid.task.append([info["task_reward"]])
        paid.parts.append({name: [value] for name, value in info["reward_parts"].items()})
        if "shaping_episode" in info:
            paid.episodes.append((t, 0, info["shaping_episode"]))
        if terminated or truncated:
            env.reset()
    return paid


def vector_env(
    expression: Expression, observation: ObservationKind, lanes: int, *, mode: AutoresetMode
) -> Paid:
    makers = [partial(ScriptedEnv, observation, lane) for lane in range(lanes)]
    envs = ShapedVectorEnv(SyncVectorEnv(makers, autoreset_mode=mode), expression, pay_at_end=True)
    envs.reset()
    paid = Paid()
    for t in range(STEPS):
        _, rewards, terminated, truncated, infos = envs.step(actions_at(t, lanes))
        paid.rewards.append(rewards)
        paid.task.append(infos["task_reward"])
        paid.parts.append(infos["reward_parts"])
        for lane in np.flatnonzero(infos.get("_shaping_episode", [])):
            paid.episodes.append((t, int(lane), row_of(infos["shaping_episode"], lane)))
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    return paid


def row_of(infos: dict[str, Any], lane: int) -> dict[str, Any]:
    return {
        key: row_of(value, lane)
        if isinstance(value, dict)
        else value[lane]
        if infos.get(f"_{key}", np.ones(lane + 1))[lane]
        else None
        for key, value in infos.items()
        if not key.startswith("_")
    }


class ScriptedParallel(ParallelEnv):
    """The scripted lanes as agents; one whose episode has ended is gone for a step, and then appears again."""

    metadata: ClassVar[dict[str, Any]] = {"name": "scripted"}

    def __init__(self, observation: ObservationKind, agents: int) -> None:
        self.possible_agents = [f"agent_{number}" for number in range(agents)]
        self.lanes = {
            agent: ScriptedEnv(observation, lane) for lane, agent in enumerate(self.possible_agents)
        }
        self.features = SCRIPTED_FEATURES

    def observation_space(self, agent: str) -> gym.Space:
        return self.lanes[agent].observation_space

    def action_space(self, agent: str) -> gym.Space:
        return self.lanes[agent].action_space

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.agents = list(self.possible_agents)
        started = {agent: lane.reset() for agent, lane in self.lanes.items()}
        return {a: start[0] for a, start in started.items()}, {a: start[1] for a, start in started.items()}

    def step(self, actions: dict[str, Any]) -> Any:
        results = {agent: self.lanes[agent].step(action) for agent, action in actions.items()}
        for agent in set(self.possible_agents) - set(actions):
            obs, info = self.lanes[agent].reset()
            results[agent] = (obs, 0.0, False, False, info)
        self.agents = [a for a in self.possible_agents if not (results[a][2] or results[a][3])]
        return tuple({agent: result[column] for agent, result in results.items()} for column in range(5))


def parallel_env(expression: Expression, observation: ObservationKind, lanes: int) -> Paid:
    env = ShapedParallelEnv(ScriptedParallel(observation, lanes), expression, pay_at_end=True)
    env.reset()
    paid = Paid()
    for t in range(STEPS):
        chosen = dict(zip(env.possible_agents, actions_at(t, lanes), strict=True))
        _, rewards, _, _, infos = env.step({agent: chosen[agent] for agent in env.agents})
        ordered = [infos[agent] for agent in env.possible_agents]
        paid.rewards.append([rewards[agent] for agent in env.possible_agents])
        paid.task.append([info["task_reward"] for info in ordered])
        paid.parts.append(
            {name: [info["reward_parts"][name] for info in ordered] for name in ordered[0]["reward_parts"]}
        )
        for lane, info in enumerate(ordered):
            if "shaping_episode" in info:
                paid.episodes.append((t, lane, info["shaping_episode"]))
    return paid


@dataclass(frozen=True)
class Surface:
    run: Callable[[Expression, ObservationKind, int], Paid]
    reset_rows: bool
    single: bool = False


SURFACES = {
    "gym": Surface(gym_env, reset_rows=False, single=True),
    "vector-next_step": Surface(partial(vector_env, mode=AutoresetMode.NEXT_STEP), reset_rows=True),
    "vector-same_step": Surface(partial(vector_env, mode=AutoresetMode.SAME_STEP), reset_rows=False),
    "vector-disabled": Surface(partial(vector_env, mode=AutoresetMode.DISABLED), reset_rows=False),
    "parallel": Surface(parallel_env, reset_rows=True),
}
COLUMNS = [
    pytest.param(surface, lanes, id=f"{name}-{lanes}", marks=[pytest.mark.slow] if lanes == 16 else [])
    for name, surface in SURFACES.items()
    for lanes in ((1,) if surface.single else LANES)
]


# ---------------------------------------------------------------- the matrix


@pytest.mark.parametrize("example", CASES)
@pytest.mark.parametrize(("surface", "lanes"), COLUMNS)
def test_a_surface_pays_what_the_engine_says(surface: Surface, lanes: int, example: Example) -> None:
    if surface.run is parallel_env and any(term.sees_world for term in terms_of(example.node)):
        pytest.skip("agents share a world here, and elsewhere every lane is one: see test_parallel_env")
    expected = reference(example, lanes, reset_rows=surface.reset_rows)
    paid = surface.run(example.node, example.observation, lanes)
    np.testing.assert_array_equal(paid.rewards, expected.rewards)
    np.testing.assert_array_equal(paid.task, expected.task)
    for ours, theirs in zip(paid.parts, expected.parts, strict=True):
        assert ours.keys() == theirs.keys()
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name])
    assert paid.episodes == expected.episodes


def test_every_node_has_an_example() -> None:
    for module in pkgutil.walk_packages(shapegym.shaping.__path__, "shapegym.shaping."):
        importlib.import_module(module.name)
    ours = {
        name
        for name, node in NODES.items()
        if node.__module__.startswith("shapegym.") and not getattr(node, "reads_policy", False)
    }  # what reads the policy is for agents alone
    assert ours <= {name for name, shown in EXAMPLES.items() if shown}


def test_the_script_ends_episodes_in_every_way_and_after_one_step() -> None:
    stream = list(hand_built("box", 3, STEPS, reset_rows=True))
    kinds = {
        (bool(a), bool(b)) for step in stream for a, b in zip(step.terminated, step.truncated, strict=True)
    }
    assert kinds == {(False, False), (True, False), (False, True), (True, True)}
    assert any((step.first & (step.terminated | step.truncated)).any() for step in stream)
    assert any(not step.active.all() and step.active.any() for step in stream)


@pytest.mark.parametrize("example", [case for case in CASES if is_episodic(case.values[0].node)])
@pytest.mark.parametrize("surface", [gym_env, vector_env, parallel_env], ids=lambda run: run.__name__)
def test_rewards_known_in_hindsight_are_refused_without_the_opt_in(surface: Any, example: Example) -> None:
    refused = {
        gym_env: lambda: ShapedEnv(ScriptedEnv(example.observation), example.node),
        vector_env: lambda: ShapedVectorEnv(
            SyncVectorEnv([partial(ScriptedEnv, example.observation)]), example.node
        ),
        parallel_env: lambda: ShapedParallelEnv(ScriptedParallel(example.observation, 1), example.node),
    }
    with pytest.raises(HindsightError, match="pay_at_end"):
        refused[surface]()
