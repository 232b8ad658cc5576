"""What threads cost beside other programs: `python benchmarks/beside_load.py`.

Environment steps of DoorKey-8x8 on 2,048 lanes, and PPO learning it on 256, each as the library does it by itself, on one thread,
and on all of them: on the machine as it is, then beside busy processes that this script starts. Contestants are processes that
take turns, so what else the machine does falls on all of them; what counts are the ratios of a round.

    git clone --no-checkout . /tmp/earlier && git -C /tmp/earlier checkout COMMIT
    python benchmarks/beside_load.py --earlier /tmp/earlier

adds the library as it was at that commit. Processes of the same code differ, some by half for as long as they live: `--starts 12`
begins twelve of each, one field after the other, and its entries are the medians of their rounds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import cycle
from pathlib import Path
from statistics import median

from racing import Contestant, Results, Spread, machine, race, table, tell

ENV_ID = "shapegym/MiniGrid-DoorKey-8x8-v0"
DEFAULT, SEEDED, ONE, ALL, EARLIER = (
    "by default",
    "by default, seeded",
    "one thread",
    "all threads",
    "earlier",
)
HORIZON, EPOCHS, MINIBATCHES = 64, 4, 4
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


# ---------------------------------------------------------------- in the process of a contestant


def steps(name: str, lanes: int) -> Callable[[int], object]:
    """Return what plays batch steps of random actions in our vector form."""
    import gymnasium as gym
    import numpy as np

    import shapegym  # noqa: F401  registers the ids

    envs = gym.make_vec(ENV_ID, lanes)
    if name == ALL:
        envs.unwrapped._team = nullcontext()  # which leaves it to Numba
    rows = cycle(np.random.default_rng(0).integers(6, size=(256, lanes)))
    envs.reset(seed=0)

    def play(count: int) -> None:
        for _ in range(count):
            envs.step(next(rows))

    return play


def frames(name: str, lanes: int) -> Callable[[int], object]:
    """Return what plays rollouts of PPO and the updates that follow, in short rollouts, because some contestants are slow."""
    from shapegym import make_agent, make_vec_env

    model = make_agent(
        "PPO",
        make_vec_env(ENV_ID, lanes, seed=0, observation="flat"),
        seed=0 if name == SEEDED else None,
        n_steps=HORIZON,
        n_epochs=EPOCHS,
        batch_size=HORIZON * lanes // MINIBATCHES,
    )
    return lambda rollouts: model.learn(rollouts * HORIZON * lanes, reset_num_timesteps=False)


WORK = {"steps": steps, "frames": frames}


def serve(work: str, name: str, lanes: int) -> None:
    """Play as much as each line of the input says, and answer with a line when it is done."""
    answers, sys.stdout = sys.stdout, sys.stderr
    play = WORK[work](name, lanes)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        play(int(line))
        print("played", file=answers, flush=True)


# ---------------------------------------------------------------- in ours


def contestant(cleanup: ExitStack, work: str, name: str, lanes: int, earlier: Path | None) -> Contestant:
    """Start a process that plays."""
    count = {ONE: 1, ALL: os.cpu_count() or 1}.get(name)
    chosen = {} if count is None else dict.fromkeys(THREADS, str(count))
    environment = {key: value for key, value in os.environ.items() if key not in THREADS} | chosen
    if name == EARLIER:
        environment["PYTHONPATH"] = str(earlier / ".typing")
        environment["NUMBA_CACHE_DIR"] = str(earlier / ".kernels")
    command = [sys.executable, __file__, "--serve", work, name, "--lanes", str(lanes)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    cleanup.enter_context(child)  # closes the pipes, so that it ends, and waits for it

    def hear() -> None:
        if not child.stdout.readline():
            raise SystemExit(f"the process of {name!r} has died; what it said stands above")

    def play(count: int) -> None:
        print(count, file=child.stdin, flush=True)
        hear()

    hear()
    return Contestant(name, lanes * (HORIZON if work == "frames" else 1), play)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep cores busy with processes that do nothing of use."""
    children = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def together(races: Sequence[Results]) -> Results:
    """The rounds of one start, or of several starts the median of each."""
    if len(races) == 1:
        return races[0]
    return {name: [median(results[name]) for results in races] for name in races[0]}


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """Speeds, and how many times as fast as each the default was in the same round or start."""
    default = results[DEFAULT]
    better = [max(one, other) for one, other in zip(results[ONE], results[ALL], strict=True)]
    listed: Mapping[str, list[float]] = {**results, "the better of one and all": better}
    for name, speeds in listed.items():
        ratios = Spread.of([ours / theirs for ours, theirs in zip(default, speeds, strict=True)])
        yield name, Spread.of(speeds).text(), "" if name == DEFAULT else ratios.text(2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", choices=WORK, nargs="+", default=list(WORK))
    parser.add_argument(
        "--busy", type=int, nargs="+", default=[0, 2], help="processes beside, one table each"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--starts", type=int, default=1, help="processes of each, one after the other")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn in a round")
    parser.add_argument("--earlier", type=Path, help="a clone of the repository at another commit")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--lanes", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve, options.lanes)
        return
    print(
        machine("numpy", "numba", "torch", "stable_baselines3"),
        f"medians [quartiles] of {options.rounds} rounds of {options.seconds:g} s each"
        + (f", {options.starts} starts of each." if options.starts > 1 else "."),
        sep="; ",
    )
    for work in options.work:
        lanes = {"steps": 2048, "frames": 256}[work]
        names = [DEFAULT, *([SEEDED] if work == "frames" else []), ONE, ALL]
        names += [EARLIER] if options.earlier else []
        races: dict[int, list[Results]] = {processes: [] for processes in options.busy}
        for start in range(options.starts):
            with ExitStack() as cleanup:
                tell(f"{work}: starting {', '.join(names)} ({start + 1} of {options.starts})")
                field = [contestant(cleanup, work, name, lanes, options.earlier) for name in names]
                for processes, found in races.items():
                    tell(f"{work}: beside {processes} busy processes")
                    with busy(processes):
                        found.append(race(field, options.rounds, options.seconds))
        for processes, found in races.items():
            beside = f"beside {processes} busy processes" if processes else "beside nothing of ours"
            header = (f"{work}, {lanes:,} lanes, {beside}", "a second", "default / this")
            print(f"\n{table(header, rows(together(found)))}")


if __name__ == "__main__":
    main()
