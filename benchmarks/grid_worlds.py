"""Speed of the compiled grid worlds, beside the packages that have the same ones: `python benchmarks/grid_worlds.py`.

One run measures everything: all peers on DoorKey-8x8; every id against the original; memory; import, first use and
compilation. Contestants play the same random actions and take turns (benchmarks/racing.py); a frame is one step of one
lane. `pip install -c constraints.txt -e ".[bench]"` installs the peers; those that are missing are left out. Run it
on an idle machine: a kernel on all cores waits for the slowest of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import gymnasium as gym
from grid_peers import PEER_ID, PEERS, minigrid_loop, single_form, vector_form
from racing import Contestant, Results, Spread, machine, race, ratio, table, tell

from shapegym.envs.grid.families.ids import GRID_IDS

IDS = tuple(name for name, *_ in GRID_IDS)
DEFAULT, NO_COPY = "shapegym", "shapegym, copy=False"

FIRST_USE = """
import sys, time
start = time.perf_counter()
import gymnasium, shapegym
imported = time.perf_counter()
envs = gymnasium.make_vec("shapegym/" + sys.argv[1], int(sys.argv[2]))
envs.reset(seed=0)
envs.step(envs.action_space.sample())
print(imported - start, time.perf_counter() - imported)
"""


def peers_section(lanes: int, rounds: int, seconds: float) -> str:
    """Everyone on one task."""
    contestants = [
        vector_form(DEFAULT, PEER_ID, lanes),
        vector_form(NO_COPY, PEER_ID, lanes, copy=False),
        vector_form("shapegym, copy=False, one thread", PEER_ID, lanes, copy=False, threads=1),
        *_peers(lanes),
    ]
    tell("racing on DoorKey-8x8: " + ", ".join(contestant.name for contestant in contestants))
    results = race(contestants, rounds, seconds)
    rows = [
        (name, Spread.of(speeds).text(), "" if name == DEFAULT else ratio(results, DEFAULT, name).text(2))
        for name, speeds in results.items()
    ]
    return table((f"DoorKey-8x8, {lanes:,} lanes", "frames/s", "shapegym / this"), rows)


def ids_section(ids: Sequence[str], lanes: int, rounds: int, seconds: float) -> str:
    """Every id against the original, in the vector form and as one environment of `gymnasium.make`."""
    rows, ratios = [], {"vector form": {}, "copy=False": {}, "one lane": {}}
    for number, env_id in enumerate(ids, 1):
        tell(f"racing on {env_id} ({number} of {len(ids)})")
        results = _race_on_id(env_id, lanes, rounds, seconds)
        for form, of_ids in ratios.items():
            of_ids[env_id] = ratio(results, form, "minigrid")
        rows.append(
            (
                env_id,
                *(Spread.of(speeds).text() for speeds in results.values()),
                *(of_ids[env_id].text(1) for of_ids in ratios.values()),
                f"{bytes_per_lane(env_id):,}",
            )
        )
    forms = list(ratios)
    header = ("id", *forms, "minigrid", *(f"{form} / minigrid" for form in forms), "bytes a lane")
    return "\n\n".join([table(header, rows), *(least(form, of_ids) for form, of_ids in ratios.items())])


def _race_on_id(env_id: str, lanes: int, rounds: int, seconds: float) -> Results:
    count = gym.make(f"shapegym/{env_id}").action_space.n
    contestants = (
        vector_form("vector form", env_id, lanes, count=count),
        vector_form("copy=False", env_id, lanes, copy=False, count=count),
        single_form("one lane", f"shapegym/{env_id}", count),
        minigrid_loop("minigrid", env_id, count),
    )
    return race(contestants, rounds, seconds)


def least(form: str, ratios: dict[str, Spread]) -> str:
    """A sentence that names the id with the smallest median."""
    env_id = min(ratios, key=lambda name: ratios[name].middle)
    return f"Least ratio, {form}: {ratios[env_id].middle:,.1f} ({env_id})."


def bytes_per_lane(env_id: str, lanes: int = 64) -> int:
    """What a lane's state takes: cells, facts, random streams, clocks; observations and features are not state."""
    envs = gym.make_vec(f"shapegym/{env_id}", lanes)
    envs.reset(seed=0)
    arrays = envs.snapshot().values()
    return sum(array.nbytes for array in arrays if array.ndim and len(array) == lanes) // lanes


def start_section(env_id: str, lanes: int, repeats: int) -> str:
    """New processes: with an empty kernel cache, then with what the first one left there."""
    tell(f"starting {repeats + 1} processes")
    with tempfile.TemporaryDirectory() as cache:
        cold, *warm = [_first_use(env_id, lanes, cache) for _ in range(repeats + 1)]
    header = (f"new process, {env_id}, {lanes:,} lanes", "seconds")
    return table(
        header,
        [
            ("import gymnasium, shapegym", Spread.of([imported for imported, _ in warm]).text(2)),
            ("make_vec, reset and step, warm kernel cache", Spread.of([used for _, used in warm]).text(2)),
            ("make_vec, reset and step, empty kernel cache (one run)", f"{cold[1]:.1f}"),
        ],
    )


def _first_use(env_id: str, lanes: int, cache: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE, env_id, str(lanes)],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"a new process could not use {env_id}:\n{done.stderr}")
    imported, used = map(float, done.stdout.split()[-2:])
    return imported, used


def _peers(lanes: int) -> list[Contestant]:
    contestants = []
    for name, make in PEERS.items():
        try:
            contestants.append(replace(make(lanes), name=f"{name} {version(name)}"))
        except ImportError as error:
            tell(f'{name} is left out ({error}): pip install -c constraints.txt -e ".[bench]" installs it')
    return contestants


def _known_id(text: str) -> str:
    if text not in IDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of the ids of envs/grid/families/ids.py")
    return text


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--ids", nargs="*", type=_known_id, default=IDS, help="compare these with minigrid; all by default"
    )
    parser.add_argument("--lanes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=15, help="of the race between all peers")
    parser.add_argument("--id-rounds", type=int, default=5, help="of the race on each id, and new processes")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a contestant's turn in a round")
    parser.add_argument("--out", type=Path, help="Markdown file for the tables")
    options = parser.parse_args()
    lanes, seconds = options.lanes, options.seconds
    sections = [
        machine("numpy", "numba", "gymnasium") + ". Medians [quartiles] of the rounds.",
        start_section(PEER_ID, lanes, options.id_rounds),
        peers_section(lanes, options.rounds, seconds),
    ]
    if options.ids:
        sections.append(ids_section(options.ids, lanes, options.id_rounds, seconds))
    report = "\n\n".join(sections) + "\n"
    print(report)
    if options.out:
        options.out.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
