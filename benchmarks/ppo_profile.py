"""Where each microsecond of PPO goes: `python benchmarks/ppo_profile.py`.

DoorKey-8x8 on 256 lanes, torch on one thread: plain, and with random network distillation, which take turns. Sections are those of
`CostMeter`, which add up to the wall-clock time; torch's operations, wherever they are made, are from its own profiler, in rollouts
of their own.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from statistics import median

from racing import machine, table
from stable_baselines3.common.base_class import BaseAlgorithm
from torch.profiler import ProfilerActivity, profile

from shapegym import RND, TaskReward, make_agent, make_vec_env
from shapegym.agents import CostMeter, torch_threads
from shapegym.shaping.types import Expression

ENV_ID = "shapegym/MiniGrid-DoorKey-8x8-v0"
LANES, HORIZON, EPOCHS, MINIBATCHES = 256, 128, 4, 4
FRAMES = LANES * HORIZON
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "activations": ("aten::tanh", "aten::tanh_backward", "aten::relu", "aten::threshold_backward"),
    "copies and conversions": ("aten::copy_", "aten::_to_copy", "aten::index", "aten::clone"),
    "distributions": (
        "aten::_softmax",
        "aten::logsumexp",
        "aten::exponential_",
        "aten::_softmax_backward_data",
    ),
}
"""Torch's names of what is summed up; the rest is one line."""


def agent(reward: Expression | None) -> BaseAlgorithm:
    """Return PPO with the settings of `ppo_grid.py`, warmed up."""
    model = make_agent(
        "PPO",
        make_vec_env(ENV_ID, LANES, seed=0, observation="flat"),
        reward,
        seed=0,
        n_steps=HORIZON,
        n_epochs=EPOCHS,
        batch_size=FRAMES // MINIBATCHES,
    )
    return model.learn(FRAMES)


def costs(model: BaseAlgorithm) -> Counter[str]:
    """Return microseconds a frame of a rollout, by section, and by term and model of the reward below it."""
    with CostMeter(model) as meter:
        model.learn(FRAMES, reset_num_timesteps=False)
    spent = meter.costs()
    below = {f"reward: {name}": seconds for name, seconds in spent.terms.items()}
    return Counter({name: 1e6 * value / FRAMES for name, value in {**spent.sections, **below}.items()})


def operations(model: BaseAlgorithm) -> Counter[str]:
    """Return microseconds a frame of a rollout, by kind of torch's operations, wherever they are made."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        model.learn(FRAMES, reset_num_timesteps=False)
    kind_of = {name: kind for kind, names in OPERATIONS.items() for name in names}
    found: Counter[str] = Counter()
    for event in profiled.key_averages():
        if event.key.startswith("aten::"):
            kind = kind_of.get(event.key, "other operations")
            found[f"torch: {kind}"] += event.self_cpu_time_total / FRAMES
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rollouts", type=int, default=10)
    options = parser.parse_args()
    rewards = {"PPO": None, "PPO + RND": TaskReward() + 0.01 * RND()}
    with torch_threads(1):
        agents = {name: agent(reward) for name, reward in rewards.items()}
        turns = {name: [] for name in agents}
        for _ in range(options.rollouts):
            for name, model in agents.items():
                turns[name].append({**costs(model), **operations(model)})
    spent = {
        name: {where: median(turn[where] for turn in each) for where in each[0]}
        for name, each in turns.items()
    }
    print(machine("numpy", "numba", "torch", "stable_baselines3"), "microseconds a frame", sep="; ")
    names = sorted(
        {name for each in spent.values() for name in each}, key=lambda name: ("torch" in name, name)
    )
    rows = [(name, *(f"{each.get(name, 0):.2f}" for each in spent.values())) for name in names]
    sums = [sum(value for name, value in each.items() if ":" not in name) for each in spent.values()]
    rows.append(("all sections", *(f"{total:.2f}" for total in sums)))
    print(table(("where", *spent), rows))


if __name__ == "__main__":
    main()
