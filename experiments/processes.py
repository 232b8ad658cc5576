"""Worker processes: they import once and then do one piece of work after the other, on one thread, or as many as somebody chose.

Workers are spawned, so in a script what starts them stands below ``if __name__ == "__main__":``; notebooks need no such thing, and
what they define is not known to workers. This module imports little, so that workers can start while the parent is still reading
what they are to do.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple, Self, TypeVar

from shapegym.experiments.errors import RunError

Item = TypeVar("Item")
Result = TypeVar("Result")
Say = Callable[[Any], None]
"""What work tells its parent with on the way."""

_SPAWN = get_context("spawn")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers_import_main() -> bool:
    """Whether workers import ``__main__`` again: that of a script or ``python -m``, not what was typed or piped in."""
    main = sys.modules["__main__"]
    if getattr(getattr(main, "__spec__", None), "name", None) is not None:
        return True
    return os.path.isfile(getattr(main, "__file__", None) or "")


class News(NamedTuple):
    """What a worker says of its work: something on the way, what it returned or raised, or that the process died and how."""

    kind: Literal["ready", "said", "returned", "raised", "died"]
    value: Any = None
    pid: int = 0


class WorkerPool:
    """Processes that last until the pool is closed. A context manager.

    A worker that dies (killed, out of memory, segmentation fault) loses what it was at and is replaced.

    Args:
        workers: how many; as many as there are cores by default.
        modules: what workers import before they are ready.

    Raises:
        RunError: if that is less than one.
    """

    def __init__(self, workers: int | None = None, modules: Sequence[str] = ()) -> None:
        if workers is not None and workers < 1:
            raise RunError(f"There must be at least 1 worker, got {workers}.")
        self._workers = [_Worker(modules) for _ in range(workers or available_cores())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, whatever they are at."""
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.bury()

    def map(
        self,
        function: Callable[[Any, Say], Any],
        items: Iterable[Item],
        on_news: Callable[[Item, News], None],
    ) -> None:
        """Call ``function(item, say)`` for every item, begun in their order.

        Args:
            function: at the top of a module, so that a worker can import it.
            items: picklable.
            on_news: told in this thread what comes of each item.

        Raises:
            RunError: if workers cannot start.
        """
        waiting = deque(items)
        self._feed(function, waiting)
        while waiting or any(worker.items for worker in self._workers):
            ready = set(wait([handle for worker in self._workers for handle in worker.handles]))
            for worker in [each for each in self._workers if ready.intersection(each.handles)]:
                items, news = worker.items, worker.news()
                self._feed(
                    function, waiting
                )  # before the news are told, so that no worker waits for who hears them
                if items:
                    on_news(items[0], news)

    def _feed(self, function: Callable[[Any, Say], Any], waiting: deque[Any]) -> None:
        for worker in self._workers:
            if waiting and worker.ready and not worker.items:
                worker.begin(function, waiting.popleft())


class _Worker:
    """A process, the parent's end of its pipe, and the item it is at, if there is one."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = modules
        self.start()

    def start(self) -> None:
        self.items: tuple[Any, ...] = ()
        self.ready = self.buried = False
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(theirs, self.modules), daemon=True)
        threads = _environment(_threads_of_workers())  # as the libraries are imported
        with threads, _no_interrupt(), _main_that_exists():
            self.process.start()
        theirs.close()

    @property
    def handles(self) -> tuple[Connection, int]:
        return self.pipe, self.process.sentinel

    def begin(self, function: Callable[[Any, Say], Any], item: Any) -> None:
        self.items = (item,)
        with suppress(OSError):  # it has died, which `news` will find
            self.pipe.send((function, item))

    def news(self) -> News:
        try:
            if not self.pipe.poll():
                raise EOFError  # only the sentinel has spoken
            news: News = self.pipe.recv()
        except (EOFError, OSError):
            return self._died()
        self.ready = True
        if news.kind in ("returned", "raised"):
            self.items = ()
        return news

    def kill(self) -> None:
        """End the process, unless that has been seen to already."""
        if not self.buried:
            self.process.kill()

    def bury(self) -> int:
        """Take leave of a process that has died or is about to, once, and return its exit code."""
        if self.buried:
            return 0
        self.buried = True
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        self.pipe.close()
        self.process.close()
        return code or 0

    def _died(self) -> News:
        pid, ready = self.process.pid or 0, self.ready
        how = _in_words(self.bury())
        if not ready:
            raise RunError(
                f"A worker process could not start: it ended with {how}. What it printed stands above. If this was called from a "
                'script, the call must stand below `if __name__ == "__main__":`, because workers import the script again.'
            )
        self.start()
        return News("died", how, pid)


def in_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    on_done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Return ``function(item)`` of every item, in order, from spawned processes with one thread each.

    Args:
        function: at the top of a module, so that a process can import it.
        items: picklable.
        workers: processes; 1 works in this one.
        on_done: told each result when it is there.

    Raises:
        Exception: the first that the function raises; RunError if a process dies.
    """
    listed, results = list(items), dict[int, Result]()

    def hear(place: tuple[int, Item], news: News) -> None:
        if news.kind == "raised":
            raise news.value
        if news.kind == "died":
            raise RunError(f"A worker process ended with {news.value}.")
        results[place[0]] = news.value
        on_done(news.value)

    if workers > 1 and len(listed) > 1:
        with WorkerPool(min(workers, len(listed))) as pool:
            pool.map(partial(_placed, function), enumerate(listed), hear)
    else:
        from shapegym.agents.threads import threads_of_runs, torch_threads

        with torch_threads(threads_of_runs()):
            for item in enumerate(listed):
                hear(item, News("returned", function(item[1])))
    return [results[place] for place in range(len(listed))]


def _placed(function: Callable[[Any], Any], item: tuple[int, Any], _: Say) -> Any:
    return function(item[1])


def _in_words(code: int) -> str:
    if code == -signal.SIGKILL:
        return "SIGKILL: somebody killed it, or memory ran out"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _threads_of_workers() -> dict[str, str]:
    """One for each library, unless somebody has said how many."""
    return {name: os.environ.get(name) or "1" for name in _THREADS}


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _main_that_exists() -> Iterator[None]:
    """Hide ``__file__`` of a program that is no file ("<stdin>"): processes that are started within the block would look for it."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is None or workers_import_main():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started within the block; this one hears of it afterwards.

    A terminal sends it to all of them, and what a process says that is still importing would hide what this one says.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # begun within the block, it would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, modules: Sequence[str]) -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    _ask_to_die_with_parent()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import torch  # noqa: F401  # before the work, which is not to wait for it

    for name in modules:
        import_module(name)
    faulthandler.enable()
    pipe.send(News("ready"))
    with suppress(EOFError):
        while True:
            function, item = pipe.recv()
            try:
                pipe.send(News("returned", function(item, lambda said: pipe.send(News("said", said)))))
            except Exception as error:  # it is the caller's
                error.add_note("".join(traceback.format_tb(error.__traceback__)))
                pipe.send(News("raised", error))


_PR_SET_PDEATHSIG = 1  # prctl(2)


def _ask_to_die_with_parent() -> None:
    """Let Linux kill this process when its parent dies: a thread of Python's may wait, for compilers and imports hold its lock."""
    with suppress(OSError, AttributeError):  # elsewhere `_die_with_parent` does it, a little later
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101  # this is a child
    wait([parent.sentinel])
    os._exit(1)
