"""The wall: a program that nobody has vouched for is read, compiled and tried in a process that can do nothing else.

The child has limits of processor time, memory and output, opens no file and no connection once it has the job, starts no process,
and has none of this process's environment. Landlock and seccomp (the extra ``wall``) say so a second time, to the kernel itself;
`Outcome.walls` says which of these there were. What comes back are numbers and sentences, checked before they are believed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.evaluations.columns import Columns
from shapegym.shaping.programs.evaluations.monty import MontyEvaluation, why_not
from shapegym.shaping.programs.evaluations.trial import difference, over_steps
from shapegym.shaping.programs.language import sizes
from shapegym.shaping.programs.language.complaint import Complaint
from shapegym.shaping.programs.parcels import READY, opened_parcel, packed_parcel
from shapegym.shaping.programs.program import read_program

SECONDS = 10.0
MEMORY = 2**30
SECONDS_TO_START = 60.0
"""Until the child has imported what it needs and shut all doors: seconds, of a busy machine more."""
LARGEST_ANSWER = 2**28
"""Bytes that are taken back."""
LONGEST_TEXT = 2_000
_KEPT = ("LD_LIBRARY_PATH", "LANG", "SYSTEMROOT", "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_DISABLE_JIT")
_ALONE = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",
}


@dataclass(frozen=True)
class Job:
    """A program, and transitions to try it on.

    Attributes:
        source: its text.
        abstraction: what it may see.
        columns: what it reads, by (side, name), (T, B) or (T, B, n): T steps of B lanes.
        first: steps that begin an episode, (T, B) bool; by default the first of each lane.
    """

    source: str
    abstraction: Abstraction
    columns: Columns = field(default_factory=dict)
    first: np.ndarray | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        complaints: why the program was refused; none if it was not.
        failure: what ended the child, if it did not come to an end itself; else nothing.
        form: "reward" or "potential"; nothing if the program was not run.
        parts: its parts.
        values: totals and parts, (1 + k, T, B) float64, or None if it was not run.
        evaluations: which agree to the last bit.
        disagreement: where they do not; else nothing.
        walls: what held the child, a sentence each.
        seconds: that it took.
    """

    complaints: tuple[Complaint, ...] = ()
    failure: str = ""
    form: str = ""
    parts: tuple[str, ...] = ()
    values: np.ndarray | None = None
    evaluations: tuple[str, ...] = ()
    disagreement: str = ""
    walls: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the program was read and run, and all evaluations agree."""
        return not (self.complaints or self.failure or self.disagreement)


def behind_wall(job: Job, *, seconds: float = SECONDS, memory: int = MEMORY) -> Outcome:
    """Read, compile and run a program in a child process, by kernel and by plain Python; and by monty where it is installed.

    Args:
        job: the program, and what it is tried on.
        seconds: of the clock, and of the processor, that the program may take from the moment at which the child looks at it.
        memory: bytes that it may take.
    """
    begun = time.monotonic()
    with tempfile.TemporaryFile() as posted:
        posted.write(_posted(job))
        posted.seek(0)
        answer, failure = _run(posted, seconds, memory)
    taken = time.monotonic() - begun
    if failure:
        return Outcome(failure=failure, seconds=taken)
    try:
        outcome = _read(answer, job, taken)
    except (ValueError, KeyError, TypeError) as error:
        return Outcome(failure=f"The child sent what is no answer: {error!r:.200}.", seconds=taken)
    return _third(outcome, job) if outcome.passed else outcome


def _third(outcome: Outcome, job: Job) -> Outcome:
    """The outcome with what monty says, which has a process and limits of its own."""
    if reason := why_not():
        return replace(outcome, walls=(*outcome.walls, f"No third evaluation: {reason}"))
    program = read_program(job.source, job.abstraction)
    try:
        values = over_steps(MontyEvaluation(program), job.columns, job.first)
    except Exception as error:  # of another interpreter
        return replace(
            outcome, walls=(*outcome.walls, f"No third evaluation: monty gave up: {error!r:.200}.")
        )
    assert outcome.values is not None  # noqa: S101  # it passed
    if found := difference(program, kernel=outcome.values, monty=values):
        return replace(outcome, disagreement=found, evaluations=())
    return replace(outcome, evaluations=(*outcome.evaluations, "monty"))


def _posted(job: Job) -> bytes:
    said = {"source": job.source, "abstraction": asdict(job.abstraction)}
    arrays = {f"{side} {name}": np.asarray(values) for (side, name), values in job.columns.items()}
    if job.first is not None:
        arrays["first"] = job.first
    return packed_parcel(said, arrays)


def _run(posted: Any, seconds: float, memory: int) -> tuple[bytes, str]:
    """The child's answer, or what ended it."""
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
    child = subprocess.Popen(  # this Python, this package
        [
            sys.executable,
            "-c",
            "from shapegym.shaping.programs.cell import main; main()",
            json.dumps([seconds, memory]),
        ],
        stdin=posted,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=os.sep,
        env={
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **_ALONE,
            "PYTHONPATH": paths,
        },
        start_new_session=True,
    )
    try:
        answer, failure = _answer(child, seconds)
    finally:
        with suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
        if child.stdout is not None:
            child.stdout.close()
    return answer, failure or _ended(status, seconds)


def _answer(child: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, str]:
    """What the child says until it closes its output."""
    assert child.stdout is not None  # noqa: S101  # a pipe
    said, late = (
        bytearray(),
        f"The child was not ready within {SECONDS_TO_START:g} s: the machine is too busy.",
    )
    deadline = time.monotonic() + SECONDS_TO_START
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return b"", late
            chunk = os.read(child.stdout.fileno(), 2**16)
            if not chunk:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(deadline - time.monotonic(), 0.1))
                return bytes(said[len(READY) :]), ""
            if not said:
                deadline, late = (
                    time.monotonic() + seconds,
                    f"The program did not come to an end within {seconds:g} s.",
                )
            said += chunk
            if len(said) > LARGEST_ANSWER:
                return b"", f"The child sent more than {LARGEST_ANSWER:,} bytes."


def _ended(status: int, seconds: float) -> str:
    if status == 0:
        return ""
    if status == -getattr(signal, "SIGXCPU", 0):
        return f"The program used up its {seconds:g} s of processor time."
    if status < 0:
        return f"The child was ended by signal {-status}, as it is where memory is used up."
    return f"The child ended with status {status}."


def _read(answer: bytes, job: Job, seconds: float) -> Outcome:
    said, arrays = opened_parcel(answer)
    texts = {key: str(said[key])[:LONGEST_TEXT] for key in ("failure", "form", "disagreement")}
    complaints = tuple(
        Complaint(int(line), int(column), str(rule)[:40], str(message)[:LONGEST_TEXT])
        for line, column, rule, message in said["complaints"][: sizes.COMPLAINTS]
    )
    parts = tuple(str(part) for part in said["parts"][: sizes.PARTS])
    values = arrays.get("values")
    if values is not None and (values.dtype != np.float64 or values.shape[:1] != (1 + len(parts),)):
        raise ValueError(f"values of shape {values.shape}")
    wanted = next((np.shape(column)[:2] for column in job.columns.values()), None)
    if values is not None and wanted is not None and values.shape[1:] != wanted:
        raise ValueError(f"values of shape {values.shape} for {wanted} transitions")
    return Outcome(
        complaints=complaints,
        parts=parts,
        values=values,
        evaluations=tuple(map(str, said["evaluations"][:3])),
        walls=tuple(str(wall)[:LONGEST_TEXT] for wall in said["walls"][:8]),
        seconds=seconds,
        **texts,
    )
