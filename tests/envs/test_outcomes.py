"""Tasks that people write as outcomes are what they wrote, and what describes no task is refused with its place."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.native import NativeVectorEnv
from shapegym.envs.outcomes import MOST_STATES, OutcomeError, finite_task, read_outcomes
from shapegym.envs.registration import register_task


def walk(cell: int, action: int) -> list[tuple[float, int, float, bool]]:
    """Two cells to the right of the start an episode ends."""
    there = max(cell - 1, 0) if action == 0 else cell + 1
    return [(0.75, there, float(there == 2), there == 2), (0.25, cell, 0.0, False)]


def test_states_are_found_and_told_by_features() -> None:
    task = finite_task(
        "walk", walk, actions=2, start=0, features={"cell": lambda s: s, "half": lambda s: s / 2, "odd": lambda s: s % 2 == 1}
    )  # fmt: skip
    P, R = task.tables()
    assert task.terminal.tolist() == [False, False, True]
    np.testing.assert_allclose(P[1, 1], [0, 0.25, 0.75])
    assert R[1, 1, 2] == 1.0
    assert task.success[1, 1].tolist() == [True, False]
    assert [task.features[name].dtype for name in ("cell", "half", "odd")] == [np.int64, np.float64, np.bool_]


def test_states_may_be_anything_that_hashes_and_starts_a_distribution() -> None:
    table: dict[Any, Any] = {
        ("a", 0): [[(1, ("b", 1), 0, False)]],
        ("b", 1): [[(np.float32(1 / 3), "end", 1, True), (np.float32(2 / 3), ("a", 0), 0, False)]],
    }
    task = finite_task("letters", table, actions=1, start={("a", 0): 0.5, ("b", 1): 0.5})
    np.testing.assert_allclose(task.start, [0.5, 0.5, 0])
    assert task.probability[1, 0].sum() == 1.0


def test_a_state_that_ends_an_episode_and_also_goes_on_is_two() -> None:
    """Coming home ends the episode; it begins there too, and has to be left to come home."""
    table = [[[(1.0, 1, 0.0, False)]], [[(1.0, 0, 1.0, True)]], [[(1.0, 0, 0.0, False)]]]
    task, origin = read_outcomes("home", table, range(3), 1, {0: 1.0}, max_steps=9)
    assert origin.tolist() == [0, 1, 2, 0]
    assert task.terminal.tolist() == [False, False, False, True]
    assert task.next_state[:3, 0, 0].tolist() == [1, 3, 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([(0.5, 1, 0.0, False)], r"state 0, action 0: the probabilities sum to 0.5, not to 1"),
        ([(1.5, 1, 0.0, False), (-0.5, 1, 0.0, False)], "no probability"),
        ([(1.0, 7, 0.0, False)], "7 is none of its 2 states"),
        ([(1.0, 1, float("nan"), False)], "no finite reward"),
        ([(float("nan"), 1, 0.0, False)], "no probability"),
        ([(1.0, 1, 0.0)], r"\(probability, next state, reward, terminated\), not \(1.0, 1, 0.0\)"),
        ([(1.0, 1, "much", False)], "not .*much"),
        ([(1.0, [1], 0.0, False)], r"not .*\[1\]"),
        ([], "sum to 0, not to 1"),
        (None, "no entry"),
    ],
)
def test_what_is_no_outcome_is_refused_with_its_place(row: Any, message: str) -> None:
    with pytest.raises(OutcomeError, match=f"broken: state 0, action 0: .*{message}|{message}"):
        read_outcomes(
            "broken", {0: {0: row}, 1: {0: [(1.0, 1, 0.0, True)]}}, range(2), 1, {0: 1.0}, max_steps=9
        )


def test_starts_counters_and_lists_are_checked() -> None:
    with pytest.raises(OutcomeError, match="starts in 9, which is none"):
        finite_task("walk", walk, actions=2, start=9, states=range(3))
    with pytest.raises(OutcomeError, match="start states sum to"):
        finite_task("walk", walk, actions=2, start={0: 0.5})
    with pytest.raises(OutcomeError, match="listed twice"):
        finite_task("walk", walk, actions=2, start=0, states=[0, 1, 2, 2])
    with pytest.raises(OutcomeError, match=f"more than {MOST_STATES:,} states"):
        finite_task("clock", lambda s, a: [(1.0, s + 1, 0.0, False)], actions=1, start=0)
    with pytest.raises(OutcomeError, match="feature 'name' must be numbers"):
        finite_task("walk", walk, actions=2, start=0, features={"name": str})


def test_an_error_of_the_function_itself_says_where_it_was() -> None:
    def broken(state: int, action: int) -> list[Any]:
        raise KeyError("lost")

    with pytest.raises(KeyError) as caught:
        finite_task("walk", broken, actions=2, start=0)
    assert caught.value.__notes__ == ["walk: state 0, action 0"]


def corridor(cells: int = 3) -> FiniteTask:
    """A corridor; its end pays."""

    def outcomes(cell: int, action: int) -> list[tuple[float, int, float, bool]]:
        there = max(cell - 1, 0) if action == 0 else cell + 1
        return [(1.0, there, float(there == cells), there == cells)]

    return finite_task("corridor", outcomes, actions=2, start=0, features={"cell": int}, max_steps=30)


def test_a_task_that_is_nothing_but_a_function_is_played_under_an_id_of_its_own() -> None:
    register_task("Tests/Corridor-v0", corridor, cells=4)
    try:
        env = gym.make("Tests/Corridor-v0")
        _, info = env.reset(seed=0)
        assert info["cell"] == 0
        for _ in range(4):
            _, reward, terminated, _, info = env.step(1)
        assert (reward, terminated, info["cell"], info["success"]) == (1.0, True, 4, True)
        lanes: Any = gym.make_vec("Tests/Corridor-v0", num_envs=2, cells=2, observation="index")
        assert isinstance(lanes, NativeVectorEnv)
        assert lanes.single_observation_space == gym.spaces.Discrete(3)
        check_env(gym.make("Tests/Corridor-v0").unwrapped)
    finally:
        del gym.registry["Tests/Corridor-v0"]
    with pytest.raises(TypeError, match="no function at the top of a module"):
        register_task("Tests/Local-v0", lambda: corridor(2))
