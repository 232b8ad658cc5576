"""Asking for subgoals: what is told of a layout, what is read of answers, and that nobody is asked twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from shapegym.agents import make_agent, make_vec_env
from shapegym.agents.beacons import ask_for_subgoals, read_subgoals
from shapegym.agents.errors import SettingsError
from shapegym.envs.grid.planner import Planner
from shapegym.shaping import Subgoal, TaskReward
from shapegym.shaping.asking.chat import Reply, Request
from shapegym.shaping.asking.transcript import Transcript
from shapegym.shaping.errors import UnansweredError
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.testing import check_expression

DOOR_KEY = "shapegym/MiniGrid-DoorKey-5x5-v0"


class Script:
    """Says what it was given, in turn; then nothing."""

    described: Mapping[str, Any] = {"script": True}

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), []

    def ask(self, request: Request) -> Reply:
        self.asked.append(request.messages[-1].content)
        if not self.answers:
            raise UnansweredError("nobody is there")
        return Reply(self.answers.pop(0))


def recorder(path: Path, chat: Any) -> Transcript[Request]:
    return Transcript(path, chat, Request)


def test_a_layout_is_told_in_words_and_its_plan_is_followed(tmp_path: Path) -> None:
    env: Any = gym.make(DOOR_KEY, subgoals="oracle").unwrapped
    plans = []
    for seed in range(2):
        env.reset(seed=seed)
        plans.append([[int(x), int(y)] for x, y, _ in env._lane._state["plans"][0] if x >= 0])
    chat = Script(f"Sure!\n```json\n{plans[0]}\n```", "I do not know.")
    file, said = tmp_path / "plans.jsonl", tmp_path / "said.jsonl"
    asked = ask_for_subgoals(DOOR_KEY, range(2), recorder(said, chat), file)
    assert (asked.layouts, asked.unreadable, asked.right, asked.wanted) == (2, 1, 3, 6)
    assert asked.accuracy == 0.5
    told = chat.asked[0]
    assert "use the key to open the door" in told
    (x, y), door = plans[0][0], plans[0][1]
    assert f"yellow key at [{x}, {y}]" in told
    assert f"locked yellow door at {door}" in told
    assert told.splitlines()[-5:][y][x] == "K"
    env = gym.make_vec(DOOR_KEY, 50, subgoals=str(file), layouts=2).unwrapped
    _, info = env.reset(seed=7)
    left = info["subgoals_left"].tolist()
    assert set(left) == {0, 3}, "the layout without a readable answer has none"
    assert len({grid.tobytes() for grid in env._state["cells"]}) == 2


def test_nobody_is_asked_twice_and_what_was_broken_off_goes_on(tmp_path: Path) -> None:
    file, said = tmp_path / "plans.jsonl", tmp_path / "said.jsonl"
    with pytest.raises(UnansweredError):
        ask_for_subgoals(DOOR_KEY, range(3), recorder(said, Script("[[1, 1]]", "[[1, 2]]")), file)
    assert not file.exists()
    chat = Script("[[1, 3]]")
    ask_for_subgoals(DOOR_KEY, range(3), recorder(said, chat), file)
    assert len(chat.asked) == 1
    first = file.read_bytes()
    ask_for_subgoals(DOOR_KEY, range(3), recorder(said, None), file)
    assert file.read_bytes() == first


def test_answers_are_read_with_care() -> None:
    assert read_subgoals("Think [1, 2, 3]. [[1, 2],[3,4] ]") == [(1, 2), (3, 4)]
    assert read_subgoals("[[1, -2]]") == [(1, -2)]
    for nothing in ("", "[]", "[[]]", "[[1, 2, 3]]", "[1, 2]", "[[1, 2]", "x" * 100_000, "[[" * 50_000):
        assert read_subgoals(nothing) is None


def test_who_has_no_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no grid world"):
        ask_for_subgoals(
            "shapegym/KeyDoor-v0", [0], recorder(tmp_path / "said.jsonl", Script()), tmp_path / "p"
        )


def test_layouts_are_those_that_seeds_begin_with() -> None:
    many: Any = gym.make_vec(DOOR_KEY, 200, observation="image", image="full", layouts=3)
    seen = {picture.tobytes() for picture in many.reset(seed=11)[0]}
    single = gym.make(DOOR_KEY, observation="image", image="full")
    assert seen == {single.reset(seed=seed)[0].tobytes() for seed in range(3)}
    with pytest.raises(ValueError, match="layouts must be a number"):
        gym.make(DOOR_KEY, layouts=0)


def test_a_subgoal_pays_the_sooner_the_more() -> None:
    check_expression(Subgoal(0.5, reached="features.success", time="features.progress"))
    reward = TaskReward() + Subgoal(0.2)
    venv = make_vec_env(DOOR_KEY, 4, seed=0, subgoals="oracle")
    agent = make_agent("PPO", venv, reward, seed=0, n_steps=64, batch_size=64)
    agent.learn(256)
    env: Any = gym.make_vec(DOOR_KEY, 3, subgoals="oracle")
    shaped, planner = ShapedVectorEnv(env, reward), Planner(env)
    shaped.reset(seed=0)
    since = np.zeros(3)
    for _ in range(12):
        _, paid, *_, info = shaped.step(planner.actions())
        since += 1
        expected = info["task_reward"] + np.where(info["subgoal_reached"], 0.2 * (1 - since / 250), 0)
        np.testing.assert_allclose(paid, expected)
        since[info["subgoal_reached"]] = 0
        if info["success"].any():
            break
    assert info["success"].any()
