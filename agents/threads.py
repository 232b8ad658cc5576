"""On how many threads torch computes while agents learn.

At every operation torch's threads wait for the slowest of them. Beside other programs one is always late, and with networks as
small as these it is waited for longer than one thread takes for everything. So:

- What a person chose stands: OMP_NUM_THREADS, MKL_NUM_THREADS, `torch.set_num_threads`, `torch_threads`.
- An agent with a seed learns on one thread, as runs, sweeps and studies do. Sums over several threads are rounded otherwise, so
  only then does a seed mean the same on every machine. Large networks are left to torch.
- An agent without a seed learns on as many threads as prove fastest: its gradient steps are timed, and the number is changed
  between them (`shapegym.fastest`).

OMP_WAIT_POLICY is nobody's business here: torch reads it when it is loaded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import local
from time import perf_counter
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from shapegym.fastest import Fastest, counts_up_to

LARGE = 1_000_000
"""Parameters from which on an operation takes so long that threads are worth waiting for."""

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Here(local):
    """What holds in the calling thread: torch, too, has a number for each."""

    held = 0
    """`torch_threads` blocks that it is in."""
    ours: int | None = None
    """What this module has set last."""
    most = 1
    """What torch had before."""


_HERE = _Here()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run the block with ``count`` threads for torch, agents that learn in it included."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    _HERE.held += 1
    try:
        yield
    finally:
        _HERE.held -= 1
        torch.set_num_threads(before)


def threads_of_runs() -> int:
    """Return how many threads a run that is to repeat gets: what a person chose, or one."""
    return torch.get_num_threads() if _is_chosen() else 1


def choose_threads(model: BaseAlgorithm) -> None:
    """Let ``model`` learn on a number of threads that is right for it, and all of torch in this thread with it; see above.

    A line in the log tells, once in a process.
    """
    if _is_chosen() or model.device.type != "cpu":
        return
    if _HERE.ours is None:
        _HERE.most = torch.get_num_threads()
    most, optimiser = _HERE.most, _optimiser(model)
    if model.seed is None and optimiser is not None:
        _Pace(most, model, optimiser)
        _say(f"as many threads as prove fastest, at most {most}")
    elif sum(parameter.numel() for parameter in model.policy.parameters()) < LARGE:
        _set(1)
        _say(f"1 thread, as agents with a seed do, instead of {most}")


class _Pace:
    """Times the gradient steps of a model, and sets the number of threads between two of them."""

    def __init__(self, most: int, model: BaseAlgorithm, optimiser: torch.optim.Optimizer) -> None:
        self._fastest = Fastest(counts_up_to(most))
        self._start: float | None = None
        _set(self._fastest.way)
        for module in model.policy.modules():
            if isinstance(module, BaseFeaturesExtractor):
                module.register_forward_pre_hook(self._begin)
        optimiser.register_step_post_hook(self._end)

    def _begin(self, *_: Any) -> None:
        if self._start is None and torch.is_grad_enabled():  # no rollout
            self._start = perf_counter()

    def _end(self, *_: Any) -> None:
        if self._start is not None and not _is_chosen():
            self._fastest.took(perf_counter() - self._start)
            _set(self._fastest.way)
        self._start = None


def _optimiser(model: BaseAlgorithm) -> torch.optim.Optimizer | None:
    """One that makes a step in every gradient step."""
    owner = model.policy if hasattr(model.policy, "optimizer") else getattr(model.policy, "critic", None)
    return getattr(owner, "optimizer", None)


def _set(count: int) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    _HERE.ours = count


def _is_chosen() -> bool:
    """Whether a person has decided how many threads torch has."""
    if _HERE.held or any(os.environ.get(name) for name in _VARIABLES):
        return True
    now = torch.get_num_threads()
    return now not in _own() if _HERE.ours is None else now != _HERE.ours


@cache
def _own() -> frozenset[int]:
    """How many threads torch may have given itself: one a core, or one a hardware thread."""
    try:
        usable = os.sched_getaffinity(0)
        siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
        cores = {Path(siblings.format(number)).read_text() for number in usable}
        return frozenset({len(usable), len(cores)})
    except (AttributeError, OSError):  # not Linux
        count = os.cpu_count() or 1
        return frozenset({count, max(count // 2, 1)})


@cache
def _say(what: str) -> None:
    logging.getLogger(__name__).warning(
        "torch learns on %s; OMP_NUM_THREADS or torch.set_num_threads chooses otherwise", what
    )
