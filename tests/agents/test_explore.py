"""What a search sees of a task is the task; exploits found in it are real, and potentials have none."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import shapegym  # noqa: F401  # registers the ids
from shapegym.agents.environments import with_features
from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.explore import explore
from shapegym.agents.finite.tabulate import tabulate
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.audit.loops import find_exploit
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.potential import Potential

GAMMA = 0.99
BUMPS = TaskReward() + Event("features.event", 0.05, equals=10)
TO_GOAL = TaskReward() - 3.0 * Potential(Distance("features.agent_pos", "features.goal_pos", "l1"))


def seen(env_id, expression, **options):
    return explore(gym.make(env_id, **with_features(env_id, expression, {})), expression, GAMMA, **options)


def exploit(model):
    return find_exploit(
        model.P,
        model.task,
        model.shaped,
        GAMMA,
        terminal=model.terminal,
        start=model.start,
        allowed=model.allowed,
    )


def test_what_is_seen_of_a_finite_task_is_its_tables():
    """States carry their number as a feature, so both models can be compared entry by entry."""
    expression = TaskReward() + 0.1 * Potential("features.state") + Event("features.event", 0.2, equals=2)
    model = seen("shapegym/KeyDoorSmall-v0", expression)
    tables = tabulate("shapegym/KeyDoorSmall-v0", expression, GAMMA)
    number = np.array([int(features["state"]) for features in model.features])
    assert model.complete
    assert len(set(number)) == len(number)
    inner = np.flatnonzero(~model.terminal)
    assert model.allowed[inner].all()
    for name in ("P", "task", "shaped"):
        table, whole = getattr(model, name), getattr(tables, name)
        np.testing.assert_allclose(
            table[inner], whole[np.ix_(number[inner], np.arange(5), number)], atol=1e-12
        )
    np.testing.assert_array_equal(model.terminal, tables.terminal[number])


@pytest.mark.parametrize("states", [3, 10, 20, 500])
def test_any_part_of_a_task_keeps_potentials_innocent(states):
    assert exploit(seen("shapegym/MiniGrid-Empty-5x5-v0", TO_GOAL, states=states)) is None


def test_a_bonus_for_bumping_is_an_exploit_of_a_grid_world():
    model = seen("shapegym/MiniGrid-Empty-5x5-v0", BUMPS)
    found = exploit(model)
    assert found.loops
    assert [model.captions[model.events[move.state, move.action]] for move in found.turn] == [
        "you bump into something"
    ]
    assert found.task.exploit == 0.0 < found.task.solution
    assert found.shaped.exploit == pytest.approx(0.05 / (1 - GAMMA))


def test_the_moves_that_are_shown_can_be_played():
    env = gym.make(
        "shapegym/MiniGrid-Empty-5x5-v0", **with_features("shapegym/MiniGrid-Empty-5x5-v0", BUMPS, {})
    )
    model = explore(env, BUMPS, GAMMA, seed=4)
    found = exploit(model)
    _, info = env.reset(seed=4)
    for move in (*found.lead, *found.turn, *found.turn, *found.turn):
        _, reward, terminated, _, info = env.step(move.action)
        assert not terminated
        assert reward == move.task
        assert info["event"] == model.events[move.state, move.action]


def test_a_small_part_says_so():
    assert not seen("shapegym/MiniGrid-Empty-5x5-v0", BUMPS, states=5).complete


def test_a_task_of_chance_is_never_seen_whole():
    """Moving obstacles: of each action one outcome was drawn, so the model is no proof of anything."""
    model = seen("shapegym/MiniGrid-Dynamic-Obstacles-5x5-v0", TaskReward(), states=5000)
    assert model.drawn
    assert not model.complete
    assert not seen("shapegym/MiniGrid-Empty-5x5-v0", TaskReward()).drawn


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(TabulationError, match="discrete actions"):
        seen("shapegym/PointMaze-v0", TaskReward())
    with pytest.raises(TabulationError, match="No way was found"):
        explore(gym.make("CartPole-v1"), TaskReward(), GAMMA, states=20)
    with pytest.raises(TabulationError, match="'count_bonus'"):
        seen("shapegym/KeyDoorSmall-v0", TaskReward() + CountBonus("obs"))
    with pytest.raises(TabulationError, match="'success' before"):
        seen("shapegym/KeyDoorSmall-v0", Event("features.success", trigger="rise"))
    with pytest.raises(TabulationError, match="at least 1"):
        seen("shapegym/KeyDoorSmall-v0", TaskReward(), states=0)
