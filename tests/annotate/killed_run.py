"""A run that a test kills: an agent whose reward asks an endpoint."""

from __future__ import annotations

import sys
from pathlib import Path

from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import train
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.annotate.language_model import LanguageModel
from shapegym.shaping.annotate.oni import oni


def request(url: str, cache: str) -> RunConfig:
    """A small one, with a checkpoint every two rollouts."""
    return RunConfig(
        "shapegym/MiniGrid-DoorKey-5x5-v0",
        3072,
        reward=TaskReward() + oni(LanguageModel("m", url, batch=1, retries=0, cache=cache)),
        settings={"num_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1},
        checkpoint_every=256,
        eval_episodes=2,
    )


if __name__ == "__main__":
    train(request(sys.argv[1], sys.argv[2]), Path(sys.argv[3]))
