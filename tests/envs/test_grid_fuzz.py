"""Random play of every grid world with Numba's bounds checks on: no kernel touches memory that is not its own.

`pytest -m slow tests/envs/test_grid_fuzz.py` plays 10 million steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PLAY = """
import sys
import numpy as np
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.native import NativeVectorEnv
from shapegym.envs.registration import TABLE, build

total, pattern = int(sys.argv[1]), sys.argv[2]
rows = [row for row in TABLE if row.name in {name for name, *_ in GRID_IDS} and pattern in row.name]
lanes, rng = 64, np.random.default_rng(0)
looks = [("partial", 7), ("full", 7), ("onehot", 5), ("symbolic", 3), ("partial", 11)]
for number, row in enumerate(rows):
    image, side = looks[number % len(looks)]
    steps = total // len(rows) // lanes + 1
    # Plans cost more than steps: all features are read in a twentieth of them.
    for features, share in (((), steps - steps // 20), ("all", steps // 20 + 1)):
        dynamics = build(row.builder, **row.knobs, image=image, agent_view_size=side, features=features)
        env = NativeVectorEnv(dynamics, lanes, copy=False)
        env.reset(seed=number)
        for _ in range(share):
            env.step(rng.integers(env.single_action_space.n, size=lanes))
        facts, task = env._state["facts"], dynamics.task
        inside = (facts[:, :2] >= 0) & (facts[:, :2] < (task.width, task.height))
        assert inside.all(), row.name
print("played", len(rows))
"""


def play(tmp_path: Path, steps: int, pattern: str, **variables: str) -> str:
    environment = os.environ | variables
    run = subprocess.run(
        [sys.executable, "-c", _PLAY, str(steps), pattern],
        env=environment, capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_family_with_bounds_checks(tmp_path: Path) -> None:
    """As plain Python, where NumPy checks: compiling the kernels with checks takes longer than this play."""
    assert play(tmp_path, 2_000, "Dynamic-Obstacles-5x5", NUMBA_DISABLE_JIT="1") == "played 1\n"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_million_steps_with_bounds_checks(tmp_path: Path) -> None:
    checks = {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_NUM_THREADS": "1",  # an exception cannot leave a parallel loop
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    assert play(tmp_path, 10_000_000, "MiniGrid", **checks) == "played 76\n"
