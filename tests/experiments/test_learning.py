"""What the demonstration claims, on seeds that it does not use: fixed seeds, small budgets, wide margins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shapegym.experiments.demo.demo_tasks import DEEP_SEA, DOORKEY, DemoTask
from shapegym.experiments.demo.demonstration import DemoOutcome, run_one

SEED = 10


def outcome(task: DemoTask, strategy: str, folder) -> DemoOutcome:
    return run_one(task, strategy, SEED, folder / strategy)


@pytest.fixture(scope="module")
def deep_sea(tmp_path_factory) -> dict[str, DemoOutcome]:
    task = replace(DEEP_SEA, steps=40_000)
    return {name: outcome(task, name, tmp_path_factory.mktemp("deep_sea")) for name in task.strategies}


def test_exploration_needs_help_in_deep_sea(deep_sea):
    """2^-14 an episode: the task reward alone is never seen; counts and a potential find and keep it."""
    assert deep_sea["sparse"].first_success is None
    assert deep_sea["sparse"].success == 0
    for name in ("count", "potential"):
        assert deep_sea[name].success >= 0.9
        assert deep_sea[name].task_return >= 0.9 * 0.99


def test_a_misleading_bonus_is_farmed(deep_sea):
    misled = deep_sea["misleading"]
    assert misled.success == 0
    assert misled.shaped_return >= 0.9 * 14 * 0.1  # the most that its bonus pays
    assert misled.task_return <= 0


@pytest.mark.slow
def test_a_potential_helps_in_doorkey_and_the_key_bonus_is_farmed(tmp_path):
    assert outcome(DOORKEY, "potential", tmp_path).success >= 0.8
    misled = outcome(DOORKEY, "misleading", tmp_path)
    assert misled.success <= 0.1
    assert misled.shaped_return >= 20
