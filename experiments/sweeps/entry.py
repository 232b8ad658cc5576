"""A sweep in one call: from a suite, or a sweep that was broken off, to its results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shapegym.experiments.errors import RunError, unless_refused
from shapegym.experiments.processes import workers_import_main
from shapegym.experiments.sweeps import local_pool

if TYPE_CHECKING:  # so that workers start while the rest is imported
    from shapegym.experiments.sweeps.loop import JobEvent, Search
    from shapegym.experiments.sweeps.plan import Job, Plan
    from shapegym.experiments.sweeps.ray_cluster import RayExecutor
    from shapegym.experiments.sweeps.results import ResultRow
    from shapegym.experiments.sweeps.suite import Suite
    from shapegym.experiments.sweeps.workspace import Workspace


class Watcher(Protocol):
    """Told what goes on in a sweep."""

    def set_jobs(self, jobs: Sequence[Job]) -> None:
        """Take over all jobs, whenever there are more."""

    def show(self, event: JobEvent) -> None:
        """Take over what has happened."""


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep."""

    folder: Path  # where it is
    rows: tuple[ResultRow, ...]  # the finished runs of what was asked for, those that only tuned included
    failures: Mapping[str, str]  # job id -> why it failed
    jobs: int  # how many runs were asked for


def sweep(
    source: str | Path | Suite | Mapping[str, Any],
    folder: str | Path | None = None,
    *,
    quick: bool = False,
    only: str = "",
    seeds: int | Sequence[int] | None = None,
    workers: int | None = None,
    on: str = "local",
    vary: Sequence[str] = (),
    search: str | None = None,
    trials: int | None = None,
    ablate: bool = False,
    wandb: str = "",
    mixed: bool = False,
    imports: Sequence[str] = (),
    trust: bool = False,
    watch: Callable[[Workspace], AbstractContextManager[Watcher]] | None = None,
) -> SweepResult:
    """Train every entry of a suite with every seed. What is finished in the folder already is kept.

    Runs are trained in processes of their own, which are spawned: in a script the call stands below
    ``if __name__ == "__main__":``, in a notebook anywhere. Functions and classes of a notebook's cells are not known there: what a
    suite needs stands in a module.

    Args:
        source: name of a ready suite, a suite file (``.yaml``), the content of one, a `Suite`, or the folder of a sweep, which goes
            on as it was asked for, whatever the keywords up to ``wandb`` and ``imports`` say.
        folder: of the sweep, made if there is none; ``sweeps/NAME`` by default.
        quick: the part of the suite that gives an answer soon.
        only: entries (task/strategy) that contain this text.
        seeds: how many or which, in place of the suite's.
        workers: runs at a time; as many as there are cores by default.
        on: "local", "ray" or "ray://HOST:PORT".
        vary: fields to vary, as `shapegym.experiments.sweeps.search.axes` writes them.
        search: how variants are chosen: "grid", "random", "halving" or "optuna".
        trials: variants that a search tries.
        ablate: also each reward with one part left out at a time.
        wandb: project of Weights & Biases that shows the runs too.
        mixed: go on although there are results of other versions or machines.
        imports: modules of other people that define what the suite names, beside those that the suite imports itself. Workers
            import them too, and every run writes them down.
        trust: a folder that goes on may import the modules that it names: the person knows where it comes from.
        watch: makes what is told of the sweep while it goes on.

    Returns:
        The rows of the finished runs, and why others failed; those are tried again by the next call.

    Raises:
        RunError: if the suite does not fit its environments and agents (names the place), or the folder is another sweep's.
        PluginError: if a module is not there or fails.
    """
    with (
        unless_refused(f"The sweep of {folder or source}"),
        executor_on(on, workers, mixed=mixed) as executor,
    ):
        from shapegym.experiments.sweeps.loop import run_jobs
        from shapegym.experiments.sweeps.suite import load_suite
        from shapegym.experiments.sweeps.workspace import SWEEP, open_workspace, read_header
        from shapegym.shaping.discovery import import_modules, only_loaded

        if isinstance(source, (str, Path)) and (Path(source) / SWEEP).is_file():
            folder, header = Path(source), read_header(Path(source))
            request, wandb = header["request"], header["wandb"]
            with only_loaded(folder, trust=trust):
                plan, chosen = _stored(folder, request)
        else:
            import_modules(imports, "This sweep", beside=True)
            request = {
                "suite": load_suite(source).as_source(),
                "quick": quick,
                "only": only,
                "seeds": seeds if seeds is None or isinstance(seeds, int) else list(seeds),
                "set": list(vary),
                "search": search,
                "trials": trials,
                "ablate": ablate,
                "imports": list(imports),
            }
            plan, chosen = _asked(request)
            folder = Path("sweeps") / plan.name if folder is None else Path(folder)
        if on != "local" or not workers_import_main():
            _require_importable(plan)
        with only_loaded(folder, trust=trust):
            workspace = open_workspace(folder, plan, mixed=mixed, request=request, wandb=wandb)
        with (watch or _unseen)(workspace) as watcher:
            failures = run_jobs(workspace, chosen, executor, watcher.show, watcher.set_jobs)
    wanted = {job.id for job in chosen.jobs(workspace.rows)}
    rows = tuple(row for row in workspace.rows.values() if row.id in wanted)
    return SweepResult(folder, rows, failures, len(wanted))


def executor_on(on: str, workers: int | None, *, mixed: bool) -> local_pool.LocalPool | RayExecutor:
    """Return what runs jobs at a place.

    Raises:
        RunError: if there is no such place, or it cannot be used.
    """
    if on == "local":
        return local_pool.LocalPool(workers)
    if on == "ray" or on.startswith("ray://"):
        from shapegym.experiments.sweeps.ray_cluster import RayExecutor

        return RayExecutor(on, workers, mixed=mixed)
    raise RunError(f"--on takes local, ray or ray://HOST:PORT, not {on!r}.")


def _asked(request: Mapping[str, Any]) -> tuple[Plan, Search]:
    """The first jobs of what is asked for, and the search that knows the others."""
    from shapegym.experiments.sweeps.loop import Fixed
    from shapegym.experiments.sweeps.search import ablated, make_search, parse_axes
    from shapegym.experiments.sweeps.suite import load_suite
    from shapegym.shaping.discovery import import_modules

    modules = request.get("imports", [])
    import_modules(modules, "This sweep", beside=True)
    suite = load_suite(request["suite"])
    suite = suite.model_copy(update={"imports": [*modules, *suite.imports]})
    plan = suite.plan(quick=request["quick"], seeds=request["seeds"], only=request["only"])
    if request["ablate"]:
        plan = ablated(plan)
    axes = {axis.path: axis for axis in (*suite.axes, *parse_axes(request["set"]))}
    search: Search = Fixed(plan)
    if axes or request["search"] or request["trials"]:
        search = make_search(request["search"] or "grid", plan, list(axes.values()), request["trials"])
    return replace(plan, jobs=tuple(search.jobs({}))), search


def _stored(folder: Path, request: Mapping[str, Any]) -> tuple[Plan, Search]:
    """What a sweep was asked for: all of its plan, or the search that knows what follows from its results."""
    from shapegym.experiments.sweeps.loop import Fixed
    from shapegym.experiments.sweeps.workspace import read_plan
    from shapegym.shaping.discovery import import_modules

    if request.get("search") in ("halving", "optuna"):
        if isinstance(request["suite"], str) and Path(request["suite"]).suffix:  # of an older sweep
            raise RunError(
                f"{folder} names its suite by a file outside of it. Name the suite again: shapegym sweep {request['suite']} "
                f"--out {folder}"
            )
        return _asked(request)
    plan = read_plan(folder)
    import_modules(dict.fromkeys(name for job in plan.jobs for name in job.config.modules), str(folder))
    return plan, Fixed(plan)


def _require_importable(plan: Plan) -> None:
    from shapegym.experiments.runs.preflight import require_importable

    for job in {job.entry: job for job in plan.jobs}.values():
        require_importable(job.config, job.entry)


class _Nobody:
    def set_jobs(self, jobs: Sequence[Job]) -> None: ...

    def show(self, event: JobEvent) -> None: ...


@contextmanager
def _unseen(_: Workspace) -> Iterator[Watcher]:
    yield _Nobody()
