"""How fast reward programs are: `python benchmarks/programs.py [--clock cpu]`.

A program of ten terms on transitions as environments give them: its kernel with everything that a step costs (features found,
converted, put side by side), the same program in plain Python lane by lane, and how long it takes to compile, anew and from disk.
On a machine with other work `--clock cpu` counts the time of this process; ratios are of one run. What PPO loses to a program,
`python benchmarks/ppo_overhead.py program` says.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from gymnasium import spaces

from shapegym.shaping.programs.abstraction import Abstraction, abstraction_from
from shapegym.shaping.programs.bound import measured
from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.evaluations.kernel import ProgramKernel
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.transitions import Transitions

TEN_TERMS = """
def compute_reward(before, after, action):
    to_key = 0.1 * (distance(before.agent_pos, before.key_pos) - distance(after.agent_pos, after.key_pos))
    to_door = 0.1 * (manhattan(before.agent_pos, before.door_pos) - manhattan(after.agent_pos, after.door_pos))
    near = exp(-0.5 * distance(after.agent_pos, after.goal_pos)) if after.door_open else 0.0
    picked = 1.0 if after.has_key and not before.has_key else 0.0
    dropped = -1.0 if before.has_key and not after.has_key else 0.0
    opened = 2.0 if after.door_open and not before.door_open else 0.0
    turning = -0.01 * (action == 0 or action == 1)
    idle = -0.02 if after.agent_pos == before.agent_pos and after.direction == before.direction else 0.0
    late = -0.001 * clip(after.steps / 640, 0, 1)
    speed = 0.05 * tanh(norm(after.agent_pos - before.agent_pos))
    total = to_key + to_door + near + picked + dropped + opened + turning + idle + late + speed
    return total, {
        "to_key": to_key, "to_door": to_door, "near": near, "picked": picked, "dropped": dropped,
        "opened": opened, "turning": turning, "idle": idle, "late": late, "speed": speed,
    }
"""
SPACES: dict[str, spaces.Space] = {
    **{name: spaces.Box(0, 7, (2,), np.int64) for name in ("agent_pos", "key_pos", "door_pos", "goal_pos")},
    **{name: spaces.Box(0, 1, (), np.bool_) for name in ("has_key", "door_open")},
    "direction": spaces.Discrete(4),
    "steps": spaces.Box(0, 640, (), np.int64),
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def transitions(lanes: int) -> Transitions:
    """Return random transitions."""
    rng = np.random.default_rng(0)

    def features() -> dict[str, np.ndarray]:
        return {
            "direction": rng.integers(0, 4, lanes),
            "steps": rng.integers(0, 640, lanes),
            **{name: rng.integers(0, 8, (lanes, 2)) for name in SPACES if name.endswith("_pos")},
            **{name: rng.random(lanes) < 0.5 for name in ("has_key", "door_open")},
        }

    no, yes, nothing = np.zeros(lanes, bool), np.ones(lanes, bool), np.zeros((lanes, 1))
    flags = {"terminated": no, "truncated": no, "first": no, "active": yes}
    action = rng.integers(0, 7, lanes)
    seen = {"features": features(), "next_features": features()}
    return Transitions(obs=nothing, action=action, next_obs=nothing, reward=np.zeros(lanes), **flags, **seen)


def seconds(call: Callable[[], object], clock: Callable[[], float], rounds: int, repeat: int = 1) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(rounds):
        start = clock()
        for _ in range(repeat):
            call()
        times.append((clock() - start) / repeat)
    return median(times)


def compiling(abstraction: Abstraction, clock: Callable[[], float], kept: bool) -> float:
    """Return how long a kernel takes, of a program that nobody has compiled; or of one that is on disk."""
    times = []
    for number in range(5):
        weight = number if kept else time.time_ns() % 10**6 + number
        program = read_program(TEN_TERMS.replace("0.1 *", f"0.1{weight} *"), abstraction)
        if kept:
            ProgramKernel(program)
        start = clock()
        ProgramKernel(program, kept=kept)
        times.append(clock() - start)
    return median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="what counts as time")
    parser.add_argument("--lanes", type=int, default=4096)
    options = parser.parse_args()
    clock, lanes = CLOCKS[options.clock], options.lanes
    abstraction = abstraction_from(SPACES, spaces.Discrete(7))
    steps = transitions(lanes)
    kernel = seconds(lambda: measured(TEN_TERMS, steps, None), clock, 50, 20)
    interpreter = Interpreter(read_program(TEN_TERMS, abstraction))
    few = {
        (side, name): values[:256]
        for side, found in (("before", steps.features), ("after", steps.next_features))
        for name, values in found.items()
    } | {("action", "action"): steps.action[:256]}
    plain = seconds(lambda: interpreter(few, 256), clock, 10) / 256
    fresh, kept = (compiling(abstraction, clock, kept=kept) for kept in (False, True))
    print(
        f"kernel: {lanes / kernel / 1e6:.1f} M transitions/s at {lanes} lanes ({options.clock} time, one core)"
    )
    print(f"plain Python, lane by lane: {1 / plain:,.0f} transitions/s")
    print(f"ratio: {plain * lanes / kernel:,.0f}")
    print(f"compiled in {fresh:.2f} s, read from disk in {kept:.3f} s")


if __name__ == "__main__":
    main()
