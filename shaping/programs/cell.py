"""Behind the wall: the child process that reads, compiles and tries one program (`shapegym.shaping.programs.wall`).

The order is what matters: limits, imports, a first compilation so that nothing is left to import, the job as bytes; then every door
is shut, and only then is the job looked at.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.evaluations.columns import Columns
from shapegym.shaping.programs.evaluations.interpreter import Interpreter
from shapegym.shaping.programs.evaluations.kernel import ProgramKernel
from shapegym.shaping.programs.evaluations.trial import difference, over_steps
from shapegym.shaping.programs.language.complaint import ProgramError
from shapegym.shaping.programs.parcels import READY, opened_parcel, packed_parcel
from shapegym.shaping.programs.program import CheckedProgram, read_program

resource: Any = import_module("resource") if os.name == "posix" else None

_DOORS = """
socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg execve execveat fork vfork clone clone3
kill ptrace open openat openat2 creat unlink unlinkat rename renameat renameat2 mkdir mkdirat link linkat symlink
symlinkat truncate chmod fchmodat chown fchownat mount umount2 unshare setns bpf io_uring_setup memfd_create
process_vm_readv process_vm_writev init_module finit_module kexec_load perf_event_open userfaultfd keyctl add_key
request_key
"""
"""System calls that lead to files, connections and other processes."""
_WARM = """
MEMORY = {"held": 0.0}
def compute_reward(before, after, action, memory):
    memory.held = memory.held + exp(before.x) if after.y else pow(before.x, 1.5)
    return floor(memory.held), {"held": memory.held}
"""


def main() -> None:
    """Do the one job that stands on the standard input, and answer on the standard output."""
    seconds, memory = json.loads(sys.argv[1])
    walls = [_limit(memory)]
    posted = sys.stdin.buffer.read()
    seen = Abstraction("", (Feature("x"), Feature("y", kind="truth")), Feature("action"))
    _try_out(
        read_program(_WARM, seen), {("before", "x"): np.ones((1, 1)), ("after", "y"): np.ones((1, 1))}, None
    )
    import_module("unicodedata")  # asked for by the parser, at the first name that is not ASCII
    packages = {what: _package(what) for what in _DONE_BY}
    walls += [*(_confine(what, package) for what, package in packages.items()), _shut(seconds)]
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    said: dict[str, Any] = {
        "complaints": [],
        "failure": "",
        "form": "",
        "parts": [],
        "disagreement": "",
        "evaluations": [],
    }
    arrays: dict[str, np.ndarray] = {}
    try:
        program, columns, first = _opened(posted)
        said |= {"form": program.form, "parts": program.parts}
        arrays["values"], said["disagreement"] = _try_out(program, columns, first)
        said["evaluations"] = [] if said["disagreement"] else ["kernel", "interpreter"]
    except ProgramError as error:
        found = error.complaints
        said["complaints"] = [[one.line, one.column, one.rule, one.message] for one in found]
    except MemoryError:
        said["failure"] = f"The program needs more memory than its {memory / 2**20:,.0f} MiB."
    except Exception as error:  # whatever it is, it is the answer
        said["failure"] = f"Trying the program failed: {type(error).__name__}: {error}"
    sys.stdout.buffer.write(packed_parcel({**said, "walls": walls}, arrays))
    sys.stdout.buffer.flush()


def _opened(posted: bytes) -> tuple[CheckedProgram, dict[tuple[str, str], np.ndarray], np.ndarray | None]:
    said, arrays = opened_parcel(posted)
    data = said["abstraction"]
    features = tuple(_feature(one) for one in data["features"])
    program = read_program(said["source"], Abstraction(data["task"], features, _feature(data["action"])))
    first = arrays.pop("first", None)
    columns = {
        (side, name): values for key, values in arrays.items() for side, _, name in [key.partition(" ")]
    }
    return program, columns, first


def _feature(data: Mapping[str, Any]) -> Feature:
    codes = tuple((int(value), str(meaning)) for value, meaning in data["codes"])
    return Feature(**{**data, "codes": codes})


def _try_out(program: CheckedProgram, columns: Columns, first: np.ndarray | None) -> tuple[np.ndarray, str]:
    """Totals and parts by the kernel, (1 + k, T, B), and where plain Python disagrees."""
    kernel = over_steps(ProgramKernel(program, kept=False), columns, first)
    return kernel, difference(
        program, kernel=kernel, interpreter=over_steps(Interpreter(program), columns, first)
    )


# ------------------------------------------------------------------ doors


def _limit(memory: int) -> str:
    if resource is None:
        return "This system has no limits of memory."
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    return f"It has at most {memory / 2**20:,.0f} MiB of memory, and writes to no file."


def _shut(seconds: float) -> str:
    if resource is None:
        return "Nothing keeps it from opening files, connections and processes."
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, until))
    # Last, because a ruleset is a file; so is a socket.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return f"In {seconds:g} s it opens no file and no connection, and, unless it runs as root, starts no process."


def _confine_files(sandlock: Any) -> str:
    sandlock.confine(sandlock.Sandbox(fs_readable=[], fs_writable=[]))
    return "Landlock keeps it from all files."


def _confine_calls(pyseccomp: Any) -> str:
    calls = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in _DOORS.split():
        try:
            calls.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
        except (ValueError, OSError):  # not a call of this kernel
            continue
    calls.load()
    return f"seccomp refuses it {len(_DOORS.split())} system calls: files, connections, processes."


_DONE_BY = {"Landlock": ("sandlock", _confine_files), "seccomp": ("pyseccomp", _confine_calls)}


def _package(what: str) -> Any:
    """The package that can do it, or why there is none. Imported before any door is shut."""
    try:
        return import_module(_DONE_BY[what][0])
    except ImportError:
        return f"No {what}: the extra 'wall' is not installed."
    except Exception as error:  # a library that it needs is missing
        return f"No {what}: {type(error).__name__}: {error}"


def _confine(what: str, package: Any) -> str:
    """Do what a package does on a kernel that may not have it."""
    if isinstance(package, str):
        return package
    try:
        return _DONE_BY[what][1](package)
    except Exception as error:  # as many kinds as there are kernels
        return f"No {what}: {type(error).__name__}: {error}"
