"""How many of PPO's frames per second shaping costs: `python benchmarks/ppo_overhead.py`.

Two agents of 64 lanes, one on the plain task and one on a shaped reward, take turns at learning in one process. What counts is the
median over the rounds of the ratio of their speeds in the same round, so that a change in the machine's load falls on both.
"""

from __future__ import annotations

import argparse
import time
from statistics import median, quantiles

from stable_baselines3.common.base_class import BaseAlgorithm

from shapegym import CountBonus, Potential, TaskReward, make_agent
from shapegym.agents import torch_threads

ENV = "shapegym/FourRooms-v0"
REWARD = TaskReward() + Potential("features.agent_pos[0]") + 0.1 * CountBonus("features.agent_pos")
LANES = 64


def frames_per_second(model: BaseAlgorithm, steps: int) -> float:
    """Let the model learn and return its speed."""
    frames = model.num_timesteps
    start = time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    return (model.num_timesteps - frames) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="paired rounds; at least 2")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts of 64 x 128 frames in a round")
    options = parser.parse_args()
    steps = options.rollouts * LANES * 128
    with torch_threads(1):
        plain, shaped = (make_agent("PPO", ENV, reward, seed=0, num_envs=LANES) for reward in (None, REWARD))
        frames_per_second(plain, steps), frames_per_second(shaped, steps)  # compiles the kernels
        rounds = []
        for index in range(options.rounds):
            order = (plain, shaped) if index % 2 == 0 else (shaped, plain)
            speed = {model: frames_per_second(model, steps) for model in order}
            rounds.append((speed[plain], speed[shaped]))
    losses = [1.0 - shaped_fps / plain_fps for plain_fps, shaped_fps in rounds]
    low, _, high = quantiles(losses, n=4)
    print(f"plain   {median(fps for fps, _ in rounds):9,.0f} frames/s (median of {len(rounds)} rounds)")
    print(f"shaped  {median(fps for _, fps in rounds):9,.0f} frames/s")
    print(f"lost    {median(losses):9.1%} (median of paired rounds; quartiles {low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
