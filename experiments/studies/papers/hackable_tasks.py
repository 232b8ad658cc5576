"""On every hackable task the policy that is optimal for the proxy fails the task, although the two are correlated at first.

Everything is exact. A task's proxy is tabulated on its finite MDP; policies are stationary, optimal at gamma = 0.99, and evaluated
within the time limit. The correlation is the one that Laidlaw et al. 2024 (arXiv 2403.03185) ask of a proxy: of the two
rewards over the steps of a base policy, here the uniformly random one.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.hack import EXPLOITS
from shapegym.envs.tabular import solver
from shapegym.experiments.named import reward_named
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest

SEEDS = 1
"""Nothing is drawn."""

GAMMA = 0.99
COLUMNS = (
    "task", "states", "optimal", "random", "proxy-optimal", "proxy of optimal", "proxy of proxy-optimal", "correlation",
)  # fmt: skip


@dataclass(frozen=True)
class ProxyScore:
    """One task."""

    name: str  # its id without namespace and version
    states: int  # S
    optimal: float  # highest task return
    random: float  # task return of the random policy
    hacked: float  # task return of the policy that is optimal for the proxy
    honest_proxy: float  # proxy return of the policy that is optimal for the task
    hacked_proxy: float  # proxy return of the policy that is optimal for the proxy
    correlation: float  # of task reward and proxy, over the steps of a random policy


def score(env_id: str) -> ProxyScore:
    """Solve a hackable task for its own reward and for its proxy."""
    tables = tabulate(env_id, reward_named(EXPLOITS[env_id].proxy)[0], GAMMA)
    task = tables.finite
    paid_by_proxy = replace(task, reward=tables.branch_shaped)
    optimal, hacked = (
        solver.value_iteration(tables.P, reward, GAMMA, task.terminal)[1].argmax(axis=1)
        for reward in (tables.task, tables.shaped)
    )
    return ProxyScore(
        name=env_id.removeprefix("shapegym/").removesuffix("-v0"),
        states=task.n_states,
        optimal=solver.optimal_return(task),
        random=solver.random_return(task),
        hacked=solver.policy_return(task, hacked),
        honest_proxy=solver.policy_return(paid_by_proxy, optimal),
        hacked_proxy=solver.policy_return(paid_by_proxy, hacked),
        correlation=_correlation(task, tables.branch_shaped),
    )


def run(request: StudyRequest) -> Findings:
    """Score every task; seeds and size do not matter."""
    scores = []
    for env_id in EXPLOITS:
        request.say(env_id)
        scores.append(score(env_id))
    worst = max(scores, key=lambda one: one.hacked / one.optimal)
    least = min(scores, key=lambda one: one.hacked_proxy / one.honest_proxy)
    weakest = min(scores, key=lambda one: one.correlation)
    return Findings(
        claims=(
            Claim(
                "the proxy's optimal policy earns less than half of the optimal task return, everywhere",
                worst.hacked < 0.5 * worst.optimal,
                f"at most {worst.hacked:.2f} of {worst.optimal:.2f} ({worst.name})",
            ),
            Claim(
                "and more proxy than the policy that is optimal for the task",
                all(one.hacked_proxy > one.honest_proxy for one in scores),
                f"at least {least.hacked_proxy:.2f} against {least.honest_proxy:.2f} ({least.name})",
            ),
            Claim(
                "under a random policy proxy and task reward are positively correlated",
                weakest.correlation > 0,
                f"at least {weakest.correlation:.2f} ({weakest.name})",
            ),
        ),
        tables=(
            ResultTable(
                "Returns of an episode, exact",
                COLUMNS,
                ((one.name, one.states, *(round(value, 2) for value in astuple(one)[2:])) for one in scores),
            ),
        ),
        notes=(
            "optimal, random and proxy-optimal are task returns of the best, the random, and the proxy's best policy.",
        ),
    )


def _correlation(task: FiniteTask, paid: NDArray[np.float64]) -> float:
    """Pearson's, over the transitions of a random policy within the time limit."""
    P, _ = task.tables()
    moves = P.mean(axis=1)
    mass, visits = task.start, np.zeros(task.n_states)
    for _ in range(task.max_steps):
        mass = np.where(task.terminal, 0.0, mass)
        visits += mass
        mass = mass @ moves
    weight = (visits[:, None, None] * task.probability / task.n_actions).ravel()
    (xx, xy), (_, yy) = np.cov(task.reward.ravel(), paid.ravel(), aweights=weight, ddof=0)
    return float(xy / np.sqrt(xx * yy))
