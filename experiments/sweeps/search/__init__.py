"""Sweeps: which variants of a plan's jobs run, and how the next ones follow from the results of the last.

    axes = parse_axes(["reward.count_bonus.beta=log:0.001..0.1", "settings.learning_rate=0.0003,0.001"])
    search = make_search("halving", ablated(plan), axes, trials=27)
    search.jobs(done={})

A search is what `shapegym.experiments.sweeps.loop.sweep` asks for jobs, again and again as rows come in.
"""

from collections.abc import Callable, Sequence

from shapegym.experiments.errors import RunError
from shapegym.experiments.sweeps.loop import Search
from shapegym.experiments.sweeps.plan import Plan
from shapegym.experiments.sweeps.search.ablation import ablated, ablation
from shapegym.experiments.sweeps.search.axes import Axis, Choices, Range, parse_axes, parse_axis
from shapegym.experiments.sweeps.search.fields import apply
from shapegym.experiments.sweeps.search.halving import halving
from shapegym.experiments.sweeps.search.model_based import optuna
from shapegym.experiments.sweeps.search.variants import grid, random
from shapegym.shaping.errors import suggest

_SEARCHES: dict[str, Callable[..., Search]] = {
    "grid": grid,
    "random": random,
    "halving": halving,
    "optuna": optuna,
}


def make_search(name: str, plan: Plan, axes: Sequence[Axis], trials: int | None = None) -> Search:
    """Return a search by its name.

    Args:
        name: "grid", "random", "halving" or "optuna".
        plan: what is compared.
        axes: what is swept.
        trials: variants that are tried; not for the grid, which tries all. None is the search's default.

    Raises:
        RunError: if there is none of that name, or the axes or trials do not suit it.
    """
    if name not in _SEARCHES:
        raise RunError(f"There is no search {name!r}.{suggest(name, _SEARCHES)}")
    if name == "grid" and trials is not None:
        raise RunError("A grid tries every combination: leave out the number of trials, or search at random.")
    return _SEARCHES[name](plan, axes, **({} if trials is None else {"trials": trials}))


__all__ = [
    "Axis",
    "Choices",
    "Range",
    "Search",
    "ablated",
    "ablation",
    "apply",
    "grid",
    "halving",
    "make_search",
    "optuna",
    "parse_axes",
    "parse_axis",
    "random",
]
