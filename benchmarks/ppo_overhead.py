"""How many of PPO's frames per second shaping costs: `python benchmarks/ppo_overhead.py [terms|model|program|rnd|novel_d|...]`.

Two agents, one on the plain task and one on a shaped reward, take turns at learning in one process. What counts is the median over
the rounds of the ratio of their speeds in the same round, so that a change in the machine's load falls on both. "terms" is a
potential and a count bonus on 64 lanes of four rooms; "model" is random network distillation (examples/predictor.py) on 256 lanes
of DoorKey-8x8, "program" a reward program with ten parts, and the others are the methods of `shapegym.shaping.intrinsic` there, as
they see grids. On a machine with other work, `--clock cpu` counts the time of this process.
"""

from __future__ import annotations

import argparse
import runpy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from stable_baselines3.common.base_class import BaseAlgorithm

from shapegym import CountBonus, Potential, TaskReward, make_agent
from shapegym.agents import torch_threads
from shapegym.shaping import (
    DEIR,
    E3B,
    ETD,
    ICM,
    NGU,
    RE3,
    RIDE,
    RND,
    Disagreement,
    NovelD,
    PseudoCounts,
    Sight,
    program_reward,
)
from shapegym.shaping.types import Expression, snake_case

PROGRAM = """
def compute_reward(before, after, action):
    to_corner = 0.01 * (distance(before.agent_pos, (6, 6)) - distance(after.agent_pos, (6, 6)))
    to_wall = 0.01 * (manhattan(before.agent_pos, (4, 1)) - manhattan(after.agent_pos, (4, 1)))
    near = 0.01 * exp(-0.5 * distance(after.agent_pos, (6, 6))) if after.has_key else 0.0
    picked = 0.1 if after.has_key and not before.has_key else 0.0
    dropped = -0.1 if before.has_key and not after.has_key else 0.0
    happened = 0.05 if after.event != 0 and after.event != before.event else 0.0
    turning = -0.001 * (action == 0 or action == 1)
    idle = -0.002 if after.agent_pos == before.agent_pos and after.agent_dir == before.agent_dir else 0.0
    useless = -0.001 * (action > 5)
    speed = 0.001 * tanh(norm(after.agent_pos - before.agent_pos))
    total = to_corner + to_wall + near + picked + dropped + happened + turning + idle + useless + speed
    return total, {
        "to_corner": to_corner, "to_wall": to_wall, "near": near, "picked": picked, "dropped": dropped,
        "happened": happened, "turning": turning, "idle": idle, "useless": useless, "speed": speed,
    }
"""
METHODS = {
    snake_case(method.__name__): method(Sight(network="grid"))
    for method in (RND, NovelD, E3B, DEIR, ETD, ICM, Disagreement, RIDE, RE3, PseudoCounts, NGU)
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Case:
    """What is measured."""

    env: str
    reward: Expression
    lanes: int


def case(name: str) -> Case:
    """Return a case by its name."""
    if name == "model":
        novelty = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "predictor.py"))["novelty"]
        return Case("shapegym/MiniGrid-DoorKey-8x8-v0", TaskReward() + 0.01 * novelty, 256)
    if name == "program":
        return Case("shapegym/MiniGrid-DoorKey-8x8-v0", program_reward(PROGRAM), 256)
    if name in METHODS:
        return Case("shapegym/MiniGrid-DoorKey-8x8-v0", TaskReward() + 0.01 * METHODS[name], 256)
    terms = TaskReward() + Potential("features.agent_pos[0]") + 0.1 * CountBonus("features.agent_pos")
    return Case("shapegym/FourRooms-v0", terms, 64)


def frames_per_second(model: BaseAlgorithm, steps: int, clock: Callable[[], float]) -> float:
    """Let the model learn and return its speed."""
    frames = model.num_timesteps
    start = clock()
    model.learn(steps, reset_num_timesteps=False)
    return (model.num_timesteps - frames) / (clock() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("case", nargs="?", choices=("terms", "model", "program", *METHODS), default="terms")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="what counts as time")
    parser.add_argument("--rounds", type=int, default=15, help="paired rounds; at least 2")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts in a round")
    options = parser.parse_args()
    chosen, clock = case(options.case), CLOCKS[options.clock]
    with torch_threads(1):
        plain, shaped = (
            make_agent("PPO", chosen.env, reward, seed=0, num_envs=chosen.lanes)
            for reward in (None, chosen.reward)
        )
        steps = options.rollouts * chosen.lanes * plain.n_steps  # type: ignore[attr-defined]
        (
            frames_per_second(plain, steps, clock),
            frames_per_second(shaped, steps, clock),
        )  # compiles the kernels
        rounds = []
        for index in range(options.rounds):
            order = (plain, shaped) if index % 2 == 0 else (shaped, plain)
            speed = {model: frames_per_second(model, steps, clock) for model in order}
            rounds.append((speed[plain], speed[shaped]))
    losses = [1.0 - shaped_fps / plain_fps for plain_fps, shaped_fps in rounds]
    low, _, high = quantiles(losses, n=4)
    print(f"plain   {median(fps for fps, _ in rounds):9,.0f} frames/s (median of {len(rounds)} rounds)")
    print(f"shaped  {median(fps for _, fps in rounds):9,.0f} frames/s")
    print(f"lost    {median(losses):9.1%} (median of paired rounds; quartiles {low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
