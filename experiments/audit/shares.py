"""Who pays: how much of what an agent is paid comes from each part, exactly on tables, or from recorded episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.finite.tabulate import Tables
from shapegym.experiments.errors import RunError
from shapegym.shaping.errors import said_as

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """What behaviour is paid in an episode."""

    behaviour: str  # who acts
    task: float  # mean task return
    shaped: float  # mean shaped return
    paid: Mapping[str, float]  # part -> its mean sum
    # part -> its part of all that is paid, by magnitude: sum |c_k| / sum_j sum |c_j|; they add up to 1, or are all 0
    shares: Mapping[str, float]
    per: str  # what magnitudes are taken of, "step" or "episode"
    episodes: int = 0  # how many were recorded; 0 = exact


def exact_shares(tables: Tables, behaviour: str, policy: Array) -> Shares:
    """Return what a policy (S, A) is paid in an episode, with its time limit, undiscounted."""
    finite = tables.finite
    early, last = (visits[:, :, None] * finite.probability for visits in _visits(tables, policy))
    paid, sizes = {}, {}
    for name, part in tables.branch_parts.items():
        at_end = tables.branch_parts_at_deadline[name]
        paid[name] = float((early * part + last * at_end).sum())
        sizes[name] = float((early * np.abs(part) + last * np.abs(at_end)).sum())
    task = float(((early + last) * finite.reward).sum())
    return Shares(behaviour, task, sum(paid.values()), paid, _normalised(sizes), "step")


def recorded_shares(
    behaviour: str,
    task: Iterable[float],
    parts: Iterable[Mapping[str, float]],
    per: str = "episode",
    sizes: Mapping[str, float] | None = None,
) -> Shares:
    """Return the means over episodes.

    Args:
        behaviour: who acted.
        task: task return of each episode.
        parts: part -> its sum, of each episode.
        per: what `Shares` says of magnitudes.
        sizes: part -> sum of magnitudes; None takes them of the episodes' sums.
    """
    returns, sums = list(task), list(parts)
    names = list(dict.fromkeys(name for each in sums for name in each))
    paid = {name: float(np.mean([each.get(name, 0.0) for each in sums])) for name in names}
    if sizes is None:
        sizes = {name: sum(abs(each.get(name, 0.0)) for each in sums) for name in names}
    return Shares(
        behaviour, float(np.mean(returns)), sum(paid.values()), paid, _normalised(sizes), per, len(sums)
    )


def run_shares(folder: Path) -> Shares:
    """Return what the training episodes of a run were paid.

    Raises:
        RunError: if the folder has none, or they are damaged.
    """
    from shapegym.agents.callbacks import EPISODES_FILE  # brings torch along
    from shapegym.agents.metrics import read_json_lines

    path = folder / EPISODES_FILE
    if not path.is_file():
        raise RunError(
            f"{folder} is no run folder with training episodes: there is no {EPISODES_FILE} in it."
        )
    rows = []
    for number, row in enumerate(read_json_lines(path), start=1):
        causes = ValueError, KeyError, TypeError, AttributeError
        place = f"{path}, line {number}: no row of a training episode with task_return and parts ("
        with said_as(RunError, causes, place, ")."):
            parts = {str(name): float(value) for name, value in row["parts"].items()}
            rows.append((float(row["task_return"]), parts))
    if not any(parts for _, parts in rows):
        raise RunError(f"{path} tells no parts: the run has no reward of its own, or no episode ended.")
    return recorded_shares(
        f"training ({folder.name})", (task for task, _ in rows), (parts for _, parts in rows)
    )


def _visits(tables: Tables, policy: Array) -> tuple[Array, Array]:
    """How often an episode takes a in s, (S, A): before the last step that the time limit allows, and in it."""
    finite = tables.finite
    alive = tables.start.copy()
    visits, flow = np.zeros(policy.shape), np.zeros(policy.shape)
    for _ in range(tables.max_steps):
        visits += flow
        flow = alive[:, None] * policy
        mass = (flow[:, :, None] * finite.probability).ravel()
        alive = np.bincount(finite.next_state.ravel(), mass, finite.n_states).astype(np.float64)
        alive[tables.terminal] = 0.0
        if not alive.any():
            break  # a step that ends every episode pays as a deadline's does
    return visits, flow


def _normalised(sizes: Mapping[str, float]) -> dict[str, float]:
    total = sum(sizes.values())
    return {name: size / total if total else 0.0 for name, size in sizes.items()}
