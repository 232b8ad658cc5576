"""One file, one reader, one process: what came of it, whatever it was.

The reader runs in a fork with little memory and time to spare, because a crash, a hang or a leak is what is looked for.
"""

from __future__ import annotations

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


def attempt_case(reader: Reader, originals: Sequence[Path], seed: int, room: Path) -> Outcome:
    """Change one of the examples as the seed says, and let the reader have it; ``room`` is an empty folder for this case."""
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
    before = canaries.seen()
    kind, detail, seconds, peak = _forked(reader, example, room)
    if canaries.code.exists() and not (
        reader.trusting and "planted_module" in example.read_text(errors="replace")
    ):
        kind = "code run"
    elif canaries.seen() != before:
        kind = "path out"
    elif kind in GOOD and peak > MEMORY:
        kind = "memory"
    elif kind == "accepted" and _steers(detail):
        kind = "raw text"
    return Outcome(kind, reader.name, seed, f"{original.name}: {done}", detail[-1500:], seconds, peak)


def _forked(reader: Reader, example: Path, room: Path) -> tuple[str, str, float, int]:
    receiving, sending = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _child(reader, example, room, sending)
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
    if late or seconds >= SECONDS:
        return "hang", "", seconds, peak
    if os.WIFSIGNALED(status) or not said:
        return "crash", f"status {status}", seconds, peak
    kind, detail = json.loads(said)
    return kind, detail, seconds, peak


def _child(reader: Reader, example: Path, room: Path, sending: int) -> None:
    os.setpgid(0, 0)
    sink = os.open(room / "output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.chdir(room / "given")
    sys.path.insert(0, str(room))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    try:
        news = "accepted", reader.read(example)
    except TYPED as error:
        news = "refused", f"{type(error).__name__}: {error}"
    except BaseException as error:  # whatever it is, it is news
        place = traceback.extract_tb(error.__traceback__)
        steps = " < ".join(f"{Path(step.filename).name}:{step.lineno}" for step in place[:-8:-1])
        news = "untyped error", f"{type(error).__name__}: {error} ({steps})"
    with os.fdopen(sending, "wb") as pipe:
        pipe.write(json.dumps(news).encode())
    os._exit(0)


def _steers(text: str) -> bool:
    """Whether a terminal would do something with a command's output other than show it."""
    return any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text if letter not in "\n\t"
    )
