"""One file, one reader: what came of it, whatever it was.

Readers run in forks with little memory and time to spare, because a crash, a hang or a leak is what is looked for.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import time
import traceback
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzzing.mutations import Canaries, mutate_file, mutate_folder, replace_file
from fuzzing.readers import TYPED, Reader

SECONDS = 10  # of computing
WAIT = 60.0  # seconds, on whatever it waits for; a busy machine may take that long over what computes for ten
MEMORY = 2**30
ROOM = 6 * 2**30  # of addresses beyond those of this process: more than may be used, so that use is measured

GOOD = ("accepted", "refused")


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes:
        kind: "accepted", "refused" (with a typed error), or what must not be: "untyped error", "crash", "hang", "memory", "code
            run", "path out", "raw text".
        reader: its name.
        seed: of the case.
        done: what was done to the example.
        detail: what was said.
        seconds: how long it computed.
        peak: bytes of memory at most.
    """

    kind: str
    reader: str
    seed: int
    done: str
    detail: str
    seconds: float
    peak: int


@dataclass(frozen=True)
class Case:
    """A changed example, in a folder of its own.

    Attributes:
        reader: what shall read it.
        seed: what it was made from.
        example: the file or folder.
        done: what was done to it.
        canaries: what must stay as it is.
        before: how that was.
    """

    reader: Reader
    seed: int
    example: Path
    done: str
    canaries: Canaries
    before: Sequence[object]


def make_case(reader: Reader, originals: Sequence[Path], seed: int, room: Path) -> Case:
    """Change one of the examples as the seed says; ``room`` is an empty folder for this case."""
    rng = random.Random(seed)
    original = rng.choice(list(originals))
    canaries = Canaries.inside(room)
    example = room / "given" / original.name
    example.parent.mkdir()
    if original.is_dir():
        shutil.copytree(original, example)
        done = " + ".join(mutate_folder(example, rng, canaries) for _ in range(rng.choice([1, 1, 2])))
    else:
        shutil.copyfile(original, example)
        mutate = mutate_file if rng.random() < 0.93 else replace_file
        done = mutate(example, rng, canaries)
    return Case(reader, seed, example, done, canaries, canaries.seen())


def attempt(made: Sequence[Case]) -> list[Outcome]:
    """Let the readers have cases, one after another in one process; those that it did not come to are read alone."""
    news = _forked(made)
    if len(made) > 1:
        good = [kind in GOOD and peak < MEMORY for kind, _, _, peak in news]
        news = [
            told if fine else _forked([case])[0] for told, fine, case in zip(news, good, made, strict=True)
        ]
    return [_judged(case, *told) for case, told in zip(made, news, strict=True)]


def _judged(case: Case, kind: str, detail: str, seconds: float, peak: int) -> Outcome:
    planted = case.canaries.code.exists()
    if planted and not (
        case.reader.trusting and "planted_module" in case.example.read_text(errors="replace")
    ):
        kind = "code run"
    elif case.canaries.seen() != case.before:
        kind = "path out"
    elif kind in GOOD and peak > MEMORY:
        kind = "memory"
    elif kind == "accepted" and _steers(detail):
        kind = "raw text"
    done = f"{case.example.name}: {case.done}"
    return Outcome(kind, case.reader.name, case.seed, done, detail[-1500:], seconds, peak)


def _forked(made: Sequence[Case]) -> list[tuple[str, str, float, int]]:
    """What was told of each case, and of those that nothing was told of how the process ended."""
    receiving, sending = os.pipe()
    began = time.monotonic()
    gc.freeze()  # or collecting garbage in the fork would copy all that it shares
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _child(made, sending)
    gc.unfreeze()
    os.close(sending)
    said, late = b"", False
    with os.fdopen(receiving, "rb", buffering=0) as pipe:
        while True:
            left = began + WAIT - time.monotonic()
            ready, _, _ = select.select([pipe], [], [], max(left, 0))
            if not ready:
                late = True
                break
            if not (chunk := pipe.read(2**16)):
                break
            said += chunk
    if late:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    seconds, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    end = ("hang", "") if late or seconds >= SECONDS else ("crash", f"status {status}")
    told = [tuple(json.loads(line)) for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
    return [*told, *[(*end, seconds, peak)] * (len(made) - len(told))]


def _child(made: Sequence[Case], sending: int) -> None:
    os.setpgid(0, 0)
    sink = os.open(made[0].example.parent.parent / "output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    path, used = list(sys.path), 0.0
    with os.fdopen(sending, "wb") as pipe:
        for case in made:
            given = case.example.parent
            os.chdir(given)
            sys.path[:] = [str(given.parent), *path]
            kind, detail = _read(case)
            usage = resource.getrusage(resource.RUSAGE_SELF)
            seconds, used = usage.ru_utime + usage.ru_stime - used, usage.ru_utime + usage.ru_stime
            pipe.write(json.dumps([kind, detail, seconds, usage.ru_maxrss * 1024]).encode() + b"\n")
            pipe.flush()
    os._exit(0)


def _read(case: Case) -> tuple[str, str]:
    try:
        return "accepted", case.reader.read(case.example)
    except TYPED as error:
        return "refused", f"{type(error).__name__}: {error}"
    except BaseException as error:  # whatever it is, it is news
        place = traceback.extract_tb(error.__traceback__)
        steps = " < ".join(f"{Path(step.filename).name}:{step.lineno}" for step in place[:-8:-1])
        return "untyped error", f"{type(error).__name__}: {error} ({steps})"


def _steers(text: str) -> bool:
    """Whether a terminal would do something with a command's output other than show it."""
    return any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text if letter not in "\n\t"
    )
