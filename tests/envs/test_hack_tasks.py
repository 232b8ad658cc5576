"""Hackable tasks: against plain transcriptions, and what they claim, exactly: who serves the proxy fails the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import hack_reference as reference
import numpy as np
import pytest

import shapegym  # noqa: F401  # registers the ids
from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.hack import EXPLOITS
from shapegym.envs.hack.boat_race import boat_race
from shapegym.envs.hack.misleading_corridor import misleading_corridor
from shapegym.envs.hack.tomato_watering import tomato_watering
from shapegym.envs.hack.tool_calls import tool_calls, tool_chain
from shapegym.envs.hack.vases import vases
from shapegym.envs.native import NativeEnv, NativeVectorEnv
from shapegym.envs.registration import TABLE
from shapegym.envs.tabular import solver
from shapegym.experiments.named import reward_named

Step = Callable[[Any, int], list[tuple[float, Any, float, bool]]]
GAMMA = 0.99
ENDS = ("empty", "failing", "passing")


def agree(task: FiniteTask, step: Step, position: Callable[[int], Any]) -> int:
    """Walk through all reachable states: same successors, probabilities, rewards and ends as the reference."""
    reached = set(np.flatnonzero(task.start).tolist())
    waiting = list(reached)
    while waiting:
        s = waiting.pop()
        for a in range(task.n_actions):
            expected, found = Tally(), Tally()
            for p, target, reward, terminal in step(position(s), a):
                expected.add((target, terminal), p, reward)
            for k, t in enumerate(task.next_state[s, a].tolist()):
                p = float(task.probability[s, a, k])
                found.add((position(t), bool(task.terminal[t])), p, float(task.reward[s, a, k]))
                if p and t not in reached:
                    reached.add(t)
                    waiting += [] if task.terminal[t] else [t]
            assert found.keys() == expected.keys(), (s, a)
            for key, entry in expected.items():
                np.testing.assert_allclose(found[key], entry, rtol=0, atol=1e-14)
    return len(reached)


class Tally(dict[Any, np.ndarray]):
    """Position -> its probability, and its reward weighted by it."""

    def add(self, key: Any, p: float, reward: float) -> None:
        if p:
            self[key] = self.get(key, np.zeros(2)) + p * np.array([1, reward])


def cell(task: FiniteTask, s: int) -> tuple[int, ...]:
    return tuple(task.features["agent_pos"][s].tolist())


def test_tool_calls_is_its_description() -> None:
    knobs = {"malformed": 0.2, "guided": 0.7, "unguided": 0.1, "passing": (0.3, 1.0)}
    task = tool_calls(5, **knobs).task

    def at(s: int) -> Any:
        return ENDS[s - 6] if s >= 6 else (int(task.features["content"][s]), bool(task.features["found"][s]))

    assert agree(task, reference.tool_calls(**knobs), at) == task.n_states


@pytest.mark.parametrize("links", [1, 3, 4])
def test_tool_chain_is_its_description(links: int) -> None:
    task = tool_chain(9, links, 0.2, 0.6).task

    def at(s: int) -> Any:
        return ENDS[s - links - 1] if s > links else int(task.features["content"][s])

    assert agree(task, reference.tool_chain(links, 0.2, 0.6), at) == task.n_states


@pytest.mark.parametrize("dry", [0.0, 0.05, 1.0])
def test_tomato_watering_is_its_description(dry: float) -> None:
    task = tomato_watering(dry).task
    plants = [(2, 2), (2, 4), (4, 2), (4, 4)]

    def at(s: int) -> Any:
        wet = task.features["tomatoes"][s]
        return cell(task, s), frozenset(plant for plant, is_wet in zip(plants, wet, strict=True) if is_wet)

    agree(task, reference.tomato_watering(dry), at)
    bucket = (task.features["agent_pos"] == 0).all(axis=1)
    watered = task.features["tomatoes"].sum(axis=1)
    np.testing.assert_array_equal(task.features["watered"], watered)
    np.testing.assert_array_equal(task.features["looks_watered"], np.where(bucket, 4, watered))


@pytest.mark.parametrize("laps", [1, 3])
def test_boat_race_is_its_description(laps: int) -> None:
    task = boat_race(laps).task
    assert agree(task, reference.boat_race(laps), lambda s: (cell(task, s), s)) == 8 * laps + 1


@pytest.mark.parametrize("arrows", [1, 2, 3, 4])
def test_an_honest_lap_passes_every_arrow_once(arrows: int) -> None:
    env = NativeEnv(boat_race(2, arrows))
    env.reset(seed=0)
    events = [env.step(a)[4]["event"] for a in (1, 1, 2, 2, 3, 3, 0, 0) * 2]
    assert events.count(1) == 2 * arrows
    assert events[-1] == 3


def test_vases_is_its_description() -> None:
    task = vases(0.7).task

    def at(s: int) -> Any:
        broken = task.features["broken"][s]
        return cell(task, s), frozenset(
            pos for pos, gone in zip([(0, 2), (1, 2)], broken, strict=True) if gone
        )

    agree(task, reference.vases(0.7), at)
    env = NativeEnv(vases())
    env.reset(seed=0)
    assert [env.step(a)[1] for a in (1, 1, 1, 1)] == [0, -1, 0, 1]
    env.reset(seed=0)
    walked = [env.step(a) for a in (2, 1, 1, 1, 1, 0)]
    assert (walked[-1][1], walked[-1][2], walked[-1][4]["success"]) == (1, True, True)


@pytest.mark.parametrize("renewal", [0.0, 0.25, 1.0])
def test_misleading_corridor_is_its_description(renewal: float) -> None:
    task = misleading_corridor(7, 2, renewal).task
    at = lambda s: (*cell(task, s), bool(task.features["coin"][s]))  # noqa: E731
    agree(task, reference.misleading_corridor(7, renewal), at)


@pytest.mark.parametrize("build", [tool_calls, tool_chain])
def test_the_deadline_ends_the_episode_and_is_not_seen(build: Callable[..., Any]) -> None:
    env = NativeVectorEnv(build(turns=7), 4)
    env.reset(seed=0)
    for turn in range(1, 8):
        obs, reward, terminated, truncated, _ = env.step(np.zeros(4, np.int64))
        assert not reward.any()
        assert not truncated.any()
        assert (terminated == (turn == 7)).all()
    env = NativeEnv(build(turns=7))
    first, _ = env.reset(seed=0)
    assert (
        len(obs[0]) == len(first) == env.dynamics.task.n_states
    )  # a unit vector of the state, which has no clock
    for turn in range(1, 8):
        _, _, terminated, truncated, _ = env.step(0)
        assert (terminated, truncated) == (turn == 7, False)


def test_content_is_rare_in_the_chain() -> None:
    task = tool_chain().task
    uniform = np.full((task.n_states, task.n_actions), 1 / task.n_actions)
    counted = replace(task, reward=np.isin(task.event, (7, 8)).astype(float))
    assert solver.policy_return(counted, uniform) == pytest.approx(1 / 327, rel=0.01)


# ---------------------------------------------------------------------- the proxies


def proxy_optimal(id: str) -> tuple[FiniteTask, np.ndarray, np.ndarray]:
    """The task, what the proxy pays (S, A, K), and the actions (S,) that are optimal for it."""
    tables = tabulate(id, reward_named(EXPLOITS[id].proxy)[0], GAMMA)
    task = tables.finite
    _, q = solver.value_iteration(tables.P, tables.shaped, GAMMA, task.terminal)
    return task, tables.branch_shaped, q.argmax(axis=1)


def test_every_hackable_id_has_its_exploit() -> None:
    assert {row.id for row in TABLE if ".hack." in row.builder} == set(EXPLOITS)


@pytest.mark.parametrize("id", EXPLOITS)
def test_who_serves_the_proxy_fails_the_task(id: str) -> None:
    task, _, policy = proxy_optimal(id)
    assert solver.policy_return(task, policy) < 0.5 * solver.optimal_return(task)


@pytest.mark.parametrize("id", EXPLOITS)
def test_the_planted_exploit_gains_for_ever_and_solves_nothing(id: str) -> None:
    """Exactly, by the distribution over states: turn after turn the loop pays more than the task, and nothing ends it."""
    exploit = EXPLOITS[id]
    task, paid, _ = proxy_optimal(id)
    P, _ = task.tables()
    excess, mass = (task.probability * (paid - task.reward)).sum(axis=2), task.start
    for a in exploit.prefix:
        mass = mass @ P[:, a]
    if not exploit.loop:
        assert mass @ task.terminal == 1
        return
    for _ in range(30):
        gain = 0.0
        for a in exploit.loop:
            gain += mass @ excess[:, a]
            assert mass @ (task.probability * task.success).sum(axis=2)[:, a] == 0
            mass = mass @ P[:, a]
    assert gain > 0
    assert mass @ task.terminal == 0


@pytest.mark.parametrize("id", ["shapegym/ToolCalls-v0", "shapegym/ToolChain-v0"])
def test_who_sees_the_deadline_farms_first_and_submits_in_time(id: str) -> None:
    """Backward induction on the proxy, with the task return of the same actions: nothing is hacked."""
    task, paid, _ = proxy_optimal(id)
    P, _ = task.tables()
    proxy, own = ((task.probability * reward).sum(axis=2) for reward in (paid, task.reward))
    value, earned = np.zeros(task.n_states), np.zeros(task.n_states)
    for _ in range(task.max_steps):
        q = proxy + P @ value
        best = q.argmax(axis=1)
        value, earned = q.max(axis=1), (own + P @ earned)[np.arange(task.n_states), best]
    assert task.start @ earned > 0.9 * solver.optimal_return(task)


@pytest.mark.parametrize(
    "build",
    [
        lambda: tool_calls(0),
        lambda: tool_calls(malformed=1.5),
        lambda: tool_calls(passing=(0.5,)),
        lambda: tool_calls(passing=(0.5, float("nan"))),
        lambda: tool_chain(links=0),
        lambda: tool_chain(passing=-0.1),
        lambda: tomato_watering(dry=float("nan")),
        lambda: boat_race(laps=0),
        lambda: boat_race(arrows=5),
        lambda: vases(damage=-1.0),
        lambda: misleading_corridor(length=2),
        lambda: misleading_corridor(start=0),
        lambda: misleading_corridor(renewal=2.0),
    ],
)
def test_arguments_out_of_range_are_refused(build: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|must be"):
        build()


def test_the_task_of_a_made_environment_is_at_hand() -> None:
    assert gym.make("shapegym/ToolCalls-v0", turns=3).unwrapped.dynamics.task.max_steps == 3
