"""The command line as a person meets it: what it prints, what it leaves on disk, how it says no."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from stable_baselines3 import PPO
from typer.testing import CliRunner

from shapegym.agents.environments import longest_episode
from shapegym.agents.metrics import read_json_lines
from shapegym.experiments.cli import app
from shapegym.experiments.console import say
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import ready_rewards, reward_named
from shapegym.experiments.runs import run_folder
from shapegym.experiments.runs.evaluations import SHARE, planned
from shapegym.experiments.runs.request import RunConfig, request_of
from shapegym.experiments.runs.run import train
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.files.reward_files import dump_reward, load_reward, to_data
from shapegym.shaping.files.schema import node_help
from shapegym.shaping.types import NODES
from shapegym.shaping.weights.paying import paying

SMALL = [
    "--steps",
    "512",
    "--set",
    "num_envs=4",
    "--set",
    "n_steps=32",
    "--set",
    "batch_size=64",
    "--eval-every",
    "256",
]
SMALL += ["--eval-episodes", "4"]
CLIPPED = "{clip: {of: {sum: [task_reward, {count_bonus: {key: obs}}]}}}"


def shapegym(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def reward(tmp_path: Path) -> str:
    path = tmp_path / "reward.yaml"
    path.write_text(
        "reward:\n  sum:\n    - task_reward\n    - count_bonus: {key: features.state, beta: 0.1}\n"
    )
    return str(path)


def test_what_comes_with_gymnasium_is_shown_with_what_is_known_of_it():
    """A known id was once said to match nothing, and suggested in the same breath."""
    for pattern in ("Taxi-v4", "taxi"):
        shown = shapegym("envs", pattern)
        for part in ("From Gymnasium itself", "Discrete(500)", "passenger", "500 states, 6 actions", "exact"):
            assert part in shown
    assert "none. CartPole-v1 is no finite task" in shapegym("envs", "CartPole-v1")
    assert "FrozenLake8x8-v1" in shapegym("envs", "FrozenLake")
    assert "Did you mean Taxi-v4" in shapegym("envs", "Toxi-v4", code=2)


def test_envs_lists_exact_returns():
    assert "shapegym/DeepSea-v0" in shapegym("envs", "deepsea")
    assert "Knobs" in shapegym("envs", "shapegym/DeepSea-v0")


def test_terms_are_a_line_each_and_all_about_one_on_request():
    listed = CliRunner().invoke(app, ["terms"]).output.splitlines()
    assert sum("count_bonus" in line for line in listed) == 1
    assert len(listed) == len(node_help()) + len({node.kind for node in node_help()}) + 1
    text = shapegym("terms", "count_bonus")
    assert "scope ('lifetime' or 'episode'; by default 'lifetime'): count over the run" in text
    assert "reward: count_bonus: key: features.agent_pos" in text


def test_terms_knows_a_node_by_its_class_too():
    """Expressions are printed with class names, which people then ask for."""
    assert shapegym("terms", "LearnedWeight") == shapegym("terms", "learned_weight")


def test_check_says_what_a_reward_promises_and_whether_it_fits(reward):
    text = shapegym("check", reward, "--env", "shapegym/Corridor-v0")
    assert "guarantee: keeps nothing, and a step adds at most 0.1" in text
    assert "fits shapegym/Corridor-v0" in text
    assert "guarantee: keeps optimal policies" in shapegym("check", "goal_distance")
    assert "fits MiniGrid" in shapegym("check", "doorkey_potential", "--env", "MiniGrid-DoorKey-6x6-v0")
    text = shapegym("check", "doorkey_potential", "--env", "shapegym/Corridor-v0", code=2)
    assert "reads the feature 'key_pos', which this environment does not provide" in text


def test_check_remarks_on_exact_counts_of_floats(tmp_path):
    path = tmp_path / "novelty.yaml"
    path.write_text("reward: {sum: [task_reward, {count_bonus: obs}]}")
    assert "Give a resolution" in " ".join(shapegym("check", str(path), "--env", "CartPole-v1").split())
    path.write_text("reward: {sum: [task_reward, {count_bonus: {key: obs, resolution: 0.1}}]}")
    assert "Give a resolution" not in " ".join(shapegym("check", str(path), "--env", "CartPole-v1").split())


def test_train_fills_a_run_folder(reward, tmp_path):
    folder = tmp_path / "run"
    text = shapegym("train", "shapegym/Corridor-v0", "--reward", reward, "--out", str(folder), *SMALL)
    assert "judged by the task alone" in text
    config = yaml.safe_load((folder / run_folder.CONFIG).read_text())
    assert config["settings"]["num_envs"] == 4
    assert config["settings"]["gae_lambda"] == 0.95  # from the table: the request is complete
    assert config["env"] == "shapegym/Corridor-v0"
    rows = read_json_lines(folder / "episodes.jsonl")
    assert rows
    for row in rows:
        assert sum(row["parts"].values()) == pytest.approx(row["shaped_return"])
    assert [row["step"] for row in read_json_lines(folder / "evaluations.jsonl")] == [256, 512]
    assert "stable-baselines3" in json.loads((folder / run_folder.VERSIONS).read_text())
    assert json.loads((folder / run_folder.RESULT).read_text())["steps"] == 512
    assert list((folder / run_folder.TENSORBOARD).glob("events*"))
    assert PPO.load(folder / run_folder.PICKLED_MODEL).num_timesteps == 512
    assert "not empty" in shapegym("train", "shapegym/Corridor-v0", "--out", str(folder), *SMALL, code=2)


def test_what_of_a_reward_is_paid_is_one_option(reward, tmp_path, monkeypatch):
    """And the run is one of what is left: its folder says so, it resumes, and its books keep the task."""
    monkeypatch.chdir(tmp_path)
    assert shapegym("check", reward, "--pay", "task").startswith("TaskReward() ")
    assert shapegym("check", reward, "--pay", "bonus").startswith("CountBonus(")
    asked = ["shapegym/Corridor-v0", "--env-arg", "length=4", "--reward", reward, "--pay", "anneal:256"]
    shapegym("train", *asked, *SMALL, "--checkpoint-every", "256")
    folder = Path("runs") / "Corridor-v0-reward-anneal256-ppo-0"
    assert RunConfig.from_folder(folder).expression() == paying(load_reward(reward), "anneal:256")
    rows = read_json_lines(folder / "episodes.jsonl")
    assert rows[0]["parts"]["count_bonus"] > 0.0 == rows[-1]["parts"]["count_bonus"]
    assert {row["task_return"] for row in rows} >= {1.0}
    whole = (folder / "result.json").read_text()
    (folder / "result.json").unlink()
    shapegym("train", "--resume", str(folder), "--checkpoint", "256")
    assert (folder / "result.json").read_text() == whole


def test_a_task_that_does_not_tell_success_is_said_to_be_so(tmp_path):
    folder = tmp_path / "a folder whose path is longer than a terminal is wide" / "and longer" / "run"
    arguments = ["train", "Pendulum-v1", "--out", str(folder), *SMALL]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert result.output.count("the task does not tell success") == 2
    assert f"Run folder: {folder}\n" in result.output


def test_a_resumed_run_equals_an_uninterrupted_one(reward, tmp_path):
    from shapegym.shaping.files.reward_files import to_data

    settings = {"num_envs": 4, "n_steps": 32, "batch_size": 64}
    config = RunConfig(
        "shapegym/Corridor-v0",
        1024,
        reward=to_data(load_reward(reward)),
        settings=settings,
        checkpoint_every=256,
        eval_episodes=4,
    )
    train(config, tmp_path / "whole")

    class Stop(Exception):
        pass

    def interrupt(step: int, _episodes: object) -> None:
        if step >= 700:
            raise Stop

    with pytest.raises(Stop):
        train(config, tmp_path / "cut", progress=interrupt)
    assert not run_folder.is_finished(tmp_path / "cut")
    shapegym("train", "--resume", str(tmp_path / "cut"))
    whole, cut = (PPO.load(tmp_path / name / run_folder.PICKLED_MODEL) for name in ("whole", "cut"))
    for a, b in zip(whole.policy.parameters(), cut.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    for name in (run_folder.RESULT, "episodes.jsonl"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "cut" / name).read_text()
    with (
        np.load(tmp_path / "whole" / run_folder.SHAPING) as a,
        np.load(tmp_path / "cut" / run_folder.SHAPING) as b,
    ):
        assert sorted(a.files) == sorted(b.files)
        assert all(np.array_equal(a[key], b[key]) for key in a.files)


def test_a_run_on_a_ready_reward_resumes_in_a_new_process(tmp_path):
    folder = tmp_path / "run"
    config = RunConfig(
        "MiniGrid-DoorKey-5x5-v0",
        128,
        reward={"potential": {"phi": "doorkey_progress"}},
        settings={"num_envs": 2, "n_steps": 32, "batch_size": 64},
        checkpoint_every=64,
        eval_episodes=1,
    )
    train(config, folder)
    (folder / run_folder.RESULT).unlink()
    command = [sys.executable, "-m", "shapegym", "train", "--resume", str(folder)]
    resumed = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert "begin new episodes" in resumed.stderr  # MiniGrid has no snapshots
    assert run_folder.is_finished(folder)


def test_an_id_may_name_the_module_that_registers_it(tmp_path):
    text = shapegym("train", "minigrid:MiniGrid-Empty-5x5-v0", "--out", str(tmp_path / "run"), *SMALL)
    assert "judged by the task alone" in text


@pytest.mark.parametrize("damage", ["env: 3", "algo: [PPO]", "settings: 4", "env_kwargs: [size]"])
def test_a_damaged_config_is_explained(damage, tmp_path):
    request = {"env": "shapegym/Corridor-v0", "steps": 64} | yaml.safe_load(damage)
    (tmp_path / run_folder.CONFIG).write_text(yaml.safe_dump(request))
    assert f"{damage.split(':')[0]} must be a" in shapegym("train", "--resume", str(tmp_path), code=2)


def test_a_request_that_is_no_plain_data_leaves_no_folder(tmp_path):
    settings = {"num_envs": 2, "policy_kwargs": {"activation_fn": torch.nn.ReLU}}
    with pytest.raises(yaml.YAMLError):
        train(RunConfig("shapegym/Corridor-v0", 64, settings=settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Which environment?"),
        (["train", "shapegym/DeepSee-v0"], "Did you mean shapegym/DeepSea-v0"),
        (["train", "shapegym/Corridor-v0", "--algo", "pppo"], "There is no algorithm 'pppo'. Did you mean"),
        (["train", "shapegym/Corridor-v0", "--set", "learning_rat=1"], "Did you mean 'learning_rate'"),
        (["train", "shapegym/Corridor-v0", "--set", "learning_rate"], "KEY=VALUE"),
        (["train", "shapegym/Corridor-v0", "--steps", "0"], "steps must be an integer of at least 1"),
        (["train", "shapegym/Corridor-v0", "--algo", "sac"], "SAC needs Box actions"),
        (["train", "shapegym/Corridor-v0", "--algo", "constrainedppo"], "none is wired"),
        (["train", "shapegym/ToolCalls-v0", "--algo", "BARFI", "--reward", "tool_calls_proxy"], "has none"),
        (["train", "shapegym/Corridor-v0", "--reward", "noveltyy"], "Did you mean 'novelty'"),
        (["train", "shapegym/Corridor-v0", "--reward", "nowhere.yaml"], "nowhere.yaml"),
        (["train", "--resume", "nowhere"], "no run folder"),
        (["train", "--resume", "nowhere", "--steps", "9", "--seed", "0"], "leave out --seed"),
        (["train", "shapegym/Corridor-v0", "--resume", "nowhere"], "leave out env"),
        (["train", "no_such_module:Env-v0"], "No module named 'no_such_module'"),
        (["train", "shapegym/FourRooms-v0", "--env-arg", "foo=1"], "rejects its arguments {'foo': 1}"),
        (["train", "shapegym/FourRooms-v0", "--env-arg", "size=2"], "four rooms needs size >= 7"),
        (["train", "shapegym/Corridor-v0", "--pay", "nonsense"], "both, task, bonus, anneal:STEPS or until"),
        (["train", "shapegym/Corridor-v0", "--pay", "bonus"], "pays nothing beside the task reward"),
        (["train", "shapegym/Corridor-v0", "--reward", "novelty", "--pay", "anneal:0"], "got 'anneal:0'"),
        (["train", "shapegym/Corridor-v0", "--reward", CLIPPED, "--pay", "task"], "Clip is no sum"),
        (["train", "--resume", "nowhere", "--pay", "bonus"], "leave out --pay"),
        (["check", "novelty", "--pay", "until"], "got 'until'"),
        (["check", "novelty", "--env", "CartPol-v1"], "Did you mean CartPole-v1"),
        (["check", "novelty", "--gamma", "7"], "for '--gamma'"),
        (["envs", "nothing-like-this"], "No environment matches"),
        (["demo", "--workers", "0"], "at least 1"),
    ],
)
def test_mistakes_are_explained_in_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = shapegym(*arguments, code=2)
    assert message in text
    assert "Traceback" not in text
    assert not list(tmp_path.iterdir())  # nothing half-made


def test_a_wrong_reward_file_names_line_and_key(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("reward:\n  sum:\n    - task_reward\n    - count_bonus: {keyy: obs}\n")
    text = shapegym("check", str(path), code=2)
    assert "bad.yaml:4:" in text
    assert "keyy" in text


def test_every_ready_reward_loads():
    import shapegym.experiments.potentials  # noqa: F401

    files = list((resources.files("shapegym.experiments") / "rewards").iterdir())
    assert files
    for item in files:
        load_reward(Path(str(item)))


def test_demo_ends_with_a_table_and_a_picture(tmp_path, monkeypatch):
    from dataclasses import replace

    from shapegym.experiments.demo import demonstration as demo
    from shapegym.experiments.demo.demo_tasks import TASKS

    tiny = tuple(replace(task, steps=1024, settings={"num_envs": 4, "n_steps": 64}) for task in TASKS[1:])
    monkeypatch.setattr(demo, "quick", lambda: tiny)
    text = shapegym("demo", "--quick", "--workers", "1", "--out", str(tmp_path / "demo"))
    assert "misleading bonus" in text
    assert "say nothing about the rewards" in text
    assert (tmp_path / "demo" / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "not empty" in shapegym("demo", "--out", str(tmp_path / "demo"), code=2)


def test_the_demo_names_the_runs_in_which_alarms_sounded():
    from shapegym.experiments.demo.demo_tasks import TASKS
    from shapegym.experiments.demo.demonstration import DemoOutcome, warnings

    task = TASKS[0]
    sounded = {("misleading", 0): ("dominant",), ("misleading", 2): ("dominant", "flat")}
    outcomes = [
        DemoOutcome(task.name, strategy, seed, 0.0, 0.0, 0.0, None, sounded.get((strategy, seed), ()), [])
        for strategy in task.strategies
        for seed in range(3)
    ]
    assert list(warnings(task, outcomes)) == ["Alarm: + misleading bonus, in 2 of 3 runs (dominant, flat)."]


def test_sentences_break_between_words_and_paths_nowhere():
    path = "/nowhere/" + 12 * "very-long/" + "reward.yaml"
    terminal, pipe = (Console(file=StringIO(), width=40, force_terminal=each) for each in (True, False))
    for console in (terminal, pipe):
        say(f"The file {path} is not there, and this is more than a line.", console, label="Error:")
    shown, piped = terminal.file.getvalue(), pipe.file.getvalue()
    assert path in shown
    assert all(len(line) <= 40 or line == path for line in shown.splitlines())
    assert piped.count("\n") == 1


def test_the_version_is_told():
    assert shapegym("--version") == f"shapegym {version('shapegym')}"


def test_the_console_script_starts():
    result = subprocess.run(
        [sys.executable, "-m", "shapegym", "--help"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "demo" in result.stdout


def test_a_finished_run_goes_on_to_what_a_longer_one_is(tmp_path):
    settings = {"num_envs": 4, "n_steps": 32, "batch_size": 64}
    config = RunConfig("shapegym/Corridor-v0", 512, settings=settings, checkpoint_every=384, eval_episodes=2)
    train(config, tmp_path / "prolonged")
    shapegym("train", "--resume", str(tmp_path / "prolonged"), "--steps", "1024")
    train(replace(config, steps=1024), tmp_path / "whole")
    for name in (run_folder.RESULT, run_folder.CONFIG, "episodes.jsonl"):
        assert (tmp_path / "prolonged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert "ask for more: --resume FOLDER --steps N" in shapegym(
        "train", "--resume", str(tmp_path / "whole"), code=2
    )
    assert "ask for more than that" in shapegym(
        "train", "--resume", str(tmp_path / "whole"), "--steps", "1024", code=2
    )


def test_what_looks_at_the_budget_is_said_when_a_run_goes_on(tmp_path):
    settings = {"num_envs": 2, "buffer_size": 100, "learning_starts": 10, "batch_size": 8}
    config = RunConfig(
        "shapegym/Corridor-v0", 64, "DQN", settings=settings, checkpoint_every=64, eval_episodes=1
    )
    train(config, tmp_path / "run")
    said = shapegym("train", "--resume", str(tmp_path / "run"), "--steps", "128")
    assert "DQN explored less with every step up to 50% of its budget, 32 steps" in said


def test_a_request_takes_rewards_in_any_form(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expression = TaskReward() + 0.5 * TaskReward()
    dump_reward(expression, "reward.yaml")
    data, text = to_data(expression), Path("reward.yaml").read_text()
    ways = (
        expression,
        "reward.yaml",
        tmp_path / "reward.yaml",
        text,
        {"reward": data},
        "{sum: [1, task_reward]}",
    )
    *requests, other = (RunConfig("a", 1, reward=each) for each in ways)
    assert requests == [RunConfig("a", 1, reward=data)] * 5
    assert other.reward == to_data(1 + TaskReward())
    assert RunConfig("a", 1, reward="task_reward").expression() == TaskReward()
    assert RunConfig("a", 1, reward="novelty").reward == to_data(reward_named("novelty")[0])
    short = RunConfig("shapegym/Corridor-v0", 1, reward={"scale": {"by": 2, "of": "task_reward"}})
    assert request_of(short)["reward"] == to_data(2 * TaskReward())
    assert not NODES.keys() & ready_rewards().keys()  # a name says which


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("noveltea", "no ready reward 'noveltea'. Did you mean 'novelty'"),
        ("/etc/passwd", "no ready reward '/etc/passwd'"),
        ("absent.yaml", "absent.yaml cannot be read: No such file"),
        ("{sum: [task_reward, curiosity]}", r"The reward:1:.*'curiosity' is not known here"),
        ("{sum: [", "Not YAML"),
        (("task_reward",), "must be an expression, got"),
    ],
)
def test_what_is_no_reward_is_refused_by_name(reward, message):
    with pytest.raises((RunError, ShapingError), match=message):
        RunConfig("shapegym/Corridor-v0", 1, reward=reward).expression()


@pytest.mark.parametrize("reward", ["reward.yaml", "{sum: [1]}", {"reward": "task_reward"}])
def test_a_written_request_reads_no_other_file(reward, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dump_reward(TaskReward(), "reward.yaml")
    with pytest.raises(RunError, match="as data"):
        RunConfig.from_data({"env": "a", "steps": 1, "reward": reward})
    stored = {
        "title": "x",
        "seeds": 1,
        "rewards": {"r": reward},
        "tasks": {"a": {"env": "CartPole-v1", "steps": 9}},
    }
    if isinstance(reward, str):
        with pytest.raises(RunError, match=r"rewards\.r: .*as data"):
            load_suite({"name": "x", "suite": stored})


def test_a_reward_is_trained_from_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "{sum: [task_reward, {count_bonus: {key: features.state, beta: 0.1}}]}"
    said = shapegym("train", "shapegym/Corridor-v0", "--reward", text, "--steps", "64", *SMALL[2:])
    assert "Run folder: runs/Corridor-v0-reward-ppo-0" in said


def test_steps_between_fits_of_what_does_not_learn_are_refused(tmp_path):
    arguments = ["--learn-every", "8", "--out", str(tmp_path / "run"), *SMALL]
    text = shapegym("train", "shapegym/Corridor-v0", *arguments, code=2)
    assert "nothing in this one does: leave it out" in text
    assert not (tmp_path / "run").exists()


def test_a_suite_is_printed_as_the_file_that_it_is(tmp_path):
    text = CliRunner().invoke(app, ["suites", "ladder", "--yaml"]).output
    (tmp_path / "mine.yaml").write_text(text)
    assert load_suite(tmp_path / "mine.yaml").model_dump() == load_suite("ladder").model_dump()
    assert "name it" in shapegym("suites", "--yaml", code=2)


def test_evaluation_takes_its_share_of_the_budget_and_no_more(tmp_path):
    length = ["--env-arg", "length=5", "--env-arg", "max_episode_steps=9"]
    shapegym("train", "shapegym/Corridor-v0", *length, "--out", str(tmp_path), "--steps", "640", *SMALL[2:8])
    rows = read_json_lines(tmp_path / "evaluations.jsonl")
    last = json.loads((tmp_path / run_folder.RESULT).read_text())
    assert len(rows) == 1
    assert 0 < sum(row["episodes"] * row["mean_length"] for row in (*rows, last)) <= SHARE * 640
    config = RunConfig.from_folder(tmp_path)
    assert (config.eval_every, config.eval_episodes) == (640, 7)


@pytest.mark.parametrize("limit", [1, 7, 100, 999])
@pytest.mark.parametrize("steps", [64, 999, 4000, 100_000])
@pytest.mark.parametrize("given", [(None, None), (0, None), (3, None), (None, 4)])
def test_no_episode_lasts_so_long_that_evaluation_takes_more(limit, steps, given):
    points, episodes = planned("CartPole-v1", {"max_episode_steps": limit}, steps, *given)
    for asked, got in zip(given, (points, episodes), strict=True):
        assert asked in (None, got)
    least = (given[0] or 0) + 1, given[1] or 1
    assert (points, episodes) >= (least[0] - 1, least[1])
    in_lanes = -(-episodes // 16) * min(episodes, 16)  # lanes play on until the last has finished
    cost = (points + 1) * max(episodes, in_lanes) * limit
    assert cost <= SHARE * steps or (points + 1, episodes) == least


@pytest.mark.parametrize(
    ("env", "kwargs", "limit"),
    [
        ("shapegym/DeepSea-v0", {"size": 50}, 50),
        ("shapegym/Corridor-v0", {"max_episode_steps": 7}, 7),
        ("shapegym/MiniGrid-Empty-5x5-v0", {}, 100),
        ("MiniGrid-Empty-5x5-v0", {"max_steps": 33}, 33),
        ("CartPole-v1", {}, 500),
        ("CliffWalking-v1", {}, None),
    ],
)
def test_how_long_an_episode_can_last(env, kwargs, limit):
    assert longest_episode(env, **kwargs) == limit
