"""Everything that the project reads from files, each with honest examples to begin with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from typer.testing import CliRunner

from shapegym.agents.checkpoint import checkpoints
from shapegym.agents.errors import AgentError
from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs import run
from shapegym.experiments.runs.run_folder import RESULT
from shapegym.experiments.sweeps import local_pool
from shapegym.experiments.sweeps.loop import attempt
from shapegym.experiments.sweeps.plan import Job, Plan, run_path
from shapegym.experiments.sweeps.suite import load_suite
from shapegym.experiments.sweeps.workspace import open_workspace
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.evaluation.annotators import Answer, Question
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.files.reward_files import dump_reward, load_reward
from shapegym.shaping.files.schema import know_all_nodes
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.models.base_data import save_base
from shapegym.shaping.models.discriminator import Discriminator
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.testing import ScriptedEnv
from shapegym.shaping.testing.recording import Bench
from shapegym.shaping.types import NODES, Expression, Model

TYPED = (ShapingError, AgentError, RunError)
"""What a reader may raise."""


@dataclass(frozen=True)
class Reader:
    """Something that reads files.

    Attributes:
        name: what it is called.
        make: writes honest examples into a folder, each a file or a folder of its own.
        read: reads one of them; returns what was said on the way.
        trusting: whether it may import what the file names (a reward file says so openly, a folder of runs may not).
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], str]
    trusting: bool = False


# ---------------------------------------------------------------------- rewards, suites


@cache
def _examples() -> dict[str, tuple[Expression, str]]:
    """An expression of every node, with the observations that it reads."""
    know_all_nodes()
    found = {}
    for name, node in sorted(NODES.items()):
        for number, example in enumerate(node.examples()[:2]):
            shown = example.node
            if isinstance(shown, Model):
                shown = TaskReward() + ModelOutput(shown)
            found[f"{name}_{number}"] = (shown, example.observation)
    return found


def _make_rewards(folder: Path) -> None:
    for name, (expression, _) in _examples().items():
        dump_reward(expression, folder / f"{name}.yaml")


def _read_reward(path: Path) -> str:
    return str(load_reward(path))


SUITE = """title: Two rewards
seeds: 2
settings: {num_envs: 2}
rewards:
  sparse: null
  bonus: {sum: [task_reward, {count_bonus: {key: features.state, beta: 0.1}}]}
tasks:
  corridor: {env: shapegym/Corridor-v0, steps: 400, env_kwargs: {length: 5}}
"""


def _make_suite(folder: Path) -> None:
    (folder / "suite.yaml").write_text(SUITE)


def _read_suite(path: Path) -> str:
    return str(load_suite(path).plan().title)


# ---------------------------------------------------------------------- states, base data, answers


@cache
def _bench(name: str) -> Bench:
    expression, observation = _examples()[name]
    return Bench.of(expression, partial(ScriptedEnv, observation), lanes=3, steps=40, gamma=None, seed=0)


def _make_states(folder: Path) -> None:
    for name in _examples():
        bench = _bench(name)
        engine = bench.engine()
        bench.pay(engine, bench.stream[:22])
        save_engine(engine, folder / f"{name}.npz")


def _read_state(path: Path) -> str:
    bench = _bench(path.stem)
    engine = bench.engine()
    load_engine(engine, path)
    bench.pay(engine, bench.stream[22:])
    save_engine(engine, path.with_name("again.npz"))
    return ""


def _make_base(folder: Path) -> None:
    env, rng = ScriptedEnv("box"), np.random.default_rng(0)
    spaces = (str(env.observation_space), str(env.action_space))
    obs = rng.normal(size=(64, *env.observation_space.shape)).astype(np.float32)
    save_base(folder / "base.npz", obs, rng.integers(0, 2, 64), {"event": rng.normal(size=64)}, spaces)


def _read_base(path: Path) -> str:
    expression = ModelOutput(Discriminator(str(path), hidden=4), "log_ratio")
    bench = replace(_bench("task_reward_0"), expression=expression)
    bench.pay(bench.engine(learn_every=8), bench.stream[:12])
    return ""


def _make_log(folder: Path) -> None:
    log = AnswerLog(folder / "answers.jsonl")
    rows = [
        (number, Question("judge", number, {"states": [number, 0.5], "text": "which?"}))
        for number in range(8)
    ]
    log.append(
        0, [row for pair in ((row, (row[0] + 1, Answer(row[1].id, 0.25))) for row in rows) for row in pair]
    )


def _read_log(path: Path) -> str:
    letters = Correspondence(None, AnswerLog(path))
    for clock in range(10):
        letters.take(clock)
        if clock < 8:
            letters.ask(clock, [Question("judge", clock, {"states": [clock, 0.5], "text": "which?"})])
    return str(letters.state_dict())


# ---------------------------------------------------------------------- runs, sweeps

BONUS = {"sum": ["task_reward", {"count_bonus": {"key": "features.state", "beta": 0.1}}]}


def _config(**changes: Any) -> run.RunConfig:
    settings = {
        "num_envs": 2,
        "n_steps": 8,
        "batch_size": 16,
        "n_epochs": 1,
        "policy_kwargs": {"net_arch": [4]},
    }
    facts = {
        "env": "shapegym/Corridor-v0",
        "steps": 64,
        "env_kwargs": {"length": 5},
        "settings": settings,
        "reward": BONUS,
        "eval_every": 32,
        "eval_episodes": 2,
        "checkpoint_every": 32,
    }
    return run.RunConfig(**{**facts, **changes})


def _stopped(config: run.RunConfig, folder: Path) -> None:
    """Leave a run that was interrupted after its checkpoint."""
    run.train(config, folder)
    for path in (folder / RESULT, *checkpoints(folder / "checkpoints")[1:]):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(folder / "tensorboard")


def _make_runs(folder: Path) -> None:
    _stopped(_config(), folder / "ppo")
    off_policy = {"num_envs": 1, "learning_starts": 8, "buffer_size": 64, "policy_kwargs": {"net_arch": [4]}}
    _stopped(_config(algo="DQN", settings=off_policy), folder / "dqn")


def _command(*arguments: Any) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "100"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def _read_run(path: Path) -> str:
    with _without_training():
        return _command("train", "--resume", path)


def _read_model(path: Path) -> str:
    return _command("record", path, "--steps", 8, "--out", path.parent / "base.npz")


def _make_finished(folder: Path) -> None:
    run.train(_config(), folder / "finished")
    shutil.rmtree(folder / "finished" / "tensorboard")


def _read_audit(path: Path) -> str:
    dump_reward(TaskReward(), path.parent / "task_reward.yaml")
    return _command(
        "audit", "task_reward.yaml", "--env", "shapegym/Corridor-v0", "--run", path, "--rollouts", 2
    )


def _make_sweep(folder: Path) -> None:
    jobs = tuple(
        Job("corridor", strategy, _config(reward=reward, seed=seed, checkpoint_every=0))
        for seed in range(2)
        for strategy, reward in (("sparse", None), ("bonus", BONUS))
    )
    workspace = open_workspace(folder / "sweep", Plan("made", "Made", jobs))
    for job in jobs[:3]:
        assert attempt(job, folder / "sweep", lambda event: None).kind == "finished"
        workspace.record(job)
        shutil.rmtree(run_path(folder / "sweep", job.id) / "tensorboard")
    _stopped(replace(jobs[3].config, checkpoint_every=32), run_path(folder / "sweep", jobs[3].id))


def _in_this_process(_: Any, jobs: Any, folder: Path, on_event: Any) -> None:
    for job in jobs:
        on_event(attempt(job, folder, on_event))


def _read_books(path: Path) -> str:
    return _command("verify", path, "--runs", 0)


def _read_report(path: Path) -> str:
    return _command("report", path)


def _read_sweep(path: Path) -> str:
    with _without_training(), mock.patch.object(local_pool.LocalPool, "run", _in_this_process):
        said = _command("sweep", path)
    if 'File "' in said:
        raise AssertionError(f"a job failed with a traceback: {said[-600:]}")
    return said


def _without_training() -> ExitStack:
    """Let agents stop before their first step, and evaluations after two episodes: what was asked for may be much."""
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
    from stable_baselines3.common.type_aliases import RolloutReturn

    stack, evaluate = ExitStack(), run.evaluate
    for kind, result in ((OnPolicyAlgorithm, False), (OffPolicyAlgorithm, RolloutReturn(0, 0, False))):
        stack.enter_context(
            mock.patch.object(kind, "collect_rollouts", lambda *_, _result=result, **__: _result)
        )
    stack.enter_context(
        mock.patch.object(
            run,
            "evaluate",
            lambda model, env, episodes, **facts: evaluate(model, env, min(episodes, 2), **facts),
        )
    )
    return stack


READERS = (
    Reader("reward files", _make_rewards, _read_reward, trusting=True),
    Reader("suite files", _make_suite, _read_suite, trusting=True),
    Reader("state files", _make_states, _read_state),
    Reader("base data", _make_base, _read_base),
    Reader("answer logs", _make_log, _read_log),
    Reader("runs to go on", _make_runs, _read_run),
    Reader("models of runs", _make_finished, _read_model),
    Reader("runs to audit", _make_finished, _read_audit),
    Reader("sweeps to verify", _make_sweep, _read_books),
    Reader("sweeps to report", _make_sweep, _read_report),
    Reader("sweeps to go on", _make_sweep, _read_sweep),
)
