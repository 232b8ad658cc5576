"""What a person reads when workers are interrupted or cannot start: the reason, last, and nothing on top of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

IMPORTING = """
import os, time

if __name__ == "__mp_main__":
    os.write(1, f"{os.getpid()}\\n".encode())
    while not os.path.exists("go"):
        time.sleep(0.01)

from shapegym.experiments.processes import WorkerPool

if __name__ == "__main__":
    with WorkerPool(2) as pool:
        pool.map(max, [1, 2], lambda item, news: print(news.kind))
"""
UNGUARDED = """
from shapegym.experiments.processes import WorkerPool

with WorkerPool(1) as pool:
    pool.map(print, [1], print)
"""

PIPED = """
import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv
from stable_baselines3 import PPO

from shapegym import Potential, TaskReward, state_function
from shapegym.agents import register_algorithm
from shapegym.experiments import RunError, sweep

@state_function
def far(obs, features):
    return obs[:, 0]

class Mine(CartPoleEnv): ...
class Quiet(PPO): ...

gym.register("Mine-v0", entry_point=Mine, max_episode_steps=9)
register_algorithm(Quiet)
small = {"num_envs": 2, "n_steps": 8, "batch_size": 8}

def swept(env="CartPole-v1", algo="PPO", reward=None):
    task = {"env": env, "steps": 16, "algo": algo, "settings": small}
    suite = {"title": "x", "seeds": 1, "eval": {"points": 1, "episodes": 1}, "rewards": {"r": reward}, "tasks": {"t": task}}
    try:
        print("finished", len(sweep(suite, env + algo, workers=1).rows))
    except RunError as error:
        print(error)

swept()
swept("Mine-v0", "Quiet", TaskReward() + Potential(far))
"""
"""A program without a file, as the cells of a notebook are one."""


def started(folder: Path, script: str) -> subprocess.Popen:
    """The script in a process group of its own, as a terminal starts it."""
    path = folder / "script.py"
    path.write_text(script)
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_an_interrupt_does_not_reach_workers_that_are_still_importing(tmp_path):
    """A terminal sends it to all processes; only the parent has something to say."""
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what runs in the background ignores it
    try:
        process = started(tmp_path, IMPORTING)
    finally:
        signal.signal(signal.SIGINT, before)
    for worker in [process.stdout.readline() for _ in range(2)]:
        os.kill(int(worker), signal.SIGINT)
    (tmp_path / "go").touch()
    printed, said = process.communicate(timeout=120)
    assert printed.count("raised") == 2, said  # nothing is larger than a function
    assert said == ""


def test_workers_of_a_script_without_a_guard_end_with_what_to_do(tmp_path):
    _, said = started(tmp_path, UNGUARDED).communicate(timeout=120)
    assert 'must stand below `if __name__ == "__main__":`' in said.splitlines()[-1]
    assert "process object is closed" not in said


def test_what_a_notebook_defines_is_missed_before_anything_trains(tmp_path):
    process = subprocess.run(
        [sys.executable, "-"], cwd=tmp_path, input=PIPED, capture_output=True, text=True, check=False
    )
    finished, refused = process.stdout.splitlines()
    assert finished == "finished 1", process.stderr
    assert refused.startswith("t/r needs Quiet, Mine, far, defined in __main__")
    assert refused.endswith('name it: imports=["mine"], or --import mine.')
    assert not (tmp_path / "Mine-v0Quiet").exists()
