"""Runs that learn the weights of their reward: what they leave behind, and that a resumed one leaves the same."""

from dataclasses import replace

import pytest

from shapegym.agents.algorithms.bilevel.figure import BLEND_FIGURE, draw_blend
from shapegym.agents.algorithms.bilevel.record import BLEND_FILE, BlendCallback
from shapegym.agents.errors import SettingsError
from shapegym.agents.factory import make_agent
from shapegym.agents.metrics import JsonLines, read_json_lines
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.files.reward_files import to_data
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.weights.blend import blend

REWARD = blend(TaskReward(), StateReward("features.state").named("place"))
CONFIG = RunConfig(
    "shapegym/Corridor-v0",
    384,
    "BARFI",
    to_data(REWARD),
    env_kwargs={"length": 5, "max_steps": 12},
    settings={"num_envs": 4, "n_steps": 32, "n_updates": 2, "warmup": 1, "policy_kwargs": {"net_arch": [8]}},
    eval_episodes=4,
    checkpoint_every=256,
)


class Killed(Exception):
    pass


def test_a_run_keeps_its_weights_over_time_and_a_resumed_run_the_same(tmp_path):
    train(CONFIG, tmp_path / "whole")
    rows = read_json_lines(tmp_path / "whole" / BLEND_FILE)
    assert [row["step"] for row in rows] == [128, 256, 384]
    assert rows[-1]["weights"].keys() == {"task_reward", "place", "bias"}
    assert (tmp_path / "whole" / BLEND_FIGURE).read_bytes().startswith(b"\x89PNG")

    def kill(step, _):
        if step > 300:
            raise Killed

    with pytest.raises(Killed):
        train(CONFIG, tmp_path / "cut", progress=kill)
    train(CONFIG, tmp_path / "cut", resume=True)
    for name in (BLEND_FILE, "episodes.jsonl", "result.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_only_bilevel_runs_are_followed(tmp_path):
    model = make_agent("A2C", "shapegym/Corridor-v0", num_envs=2, n_steps=4)
    with pytest.raises(SettingsError, match="BARFI"):
        model.learn(8, callback=BlendCallback(tmp_path))


def test_a_picture_of_weights_that_are_all_held_is_drawn_without_a_warning(tmp_path):
    row = {"weights": {}, "discount": 0.99, "task_return": 0.0}
    JsonLines(tmp_path / BLEND_FILE).append([{"step": 1, **row}, {"step": 2, **row}])
    draw_blend(tmp_path)
    assert (tmp_path / BLEND_FIGURE).read_bytes().startswith(b"\x89PNG")


def test_a_run_in_which_no_episode_ended_has_no_picture(tmp_path):
    train(
        replace(CONFIG, steps=64, env_kwargs={"length": 50, "max_steps": 90}, checkpoint_every=0),
        tmp_path / "short",
    )
    assert run_folder.is_finished(tmp_path / "short")
    assert not (tmp_path / "short" / BLEND_FIGURE).exists()
