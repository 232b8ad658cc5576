"""Learned blending (BARFI) keeps a good heuristic, repairs a wrong one, and is never far behind the best fixed use of it: 5x5 grid.

Source: Gupta et al. 2023, "Behavior Alignment via Reward Function Optimization".

Four heuristics about the distance to the goal, from none to reversed, are used in four ways: not at all, added to the task reward,
as a potential, and blended with learned weights, a learned bias for each state and a learned discount. The learner and the number
of environment steps are the same for all. Weight decay decides how sharp the learner's policy can be; so the alternatives have, in
every column, the best of several, chosen by the reported scores, while blending has its one default. Besides, the hyper-gradient is
compared with central differences of the inner problem solved again, by the number of terms K, and with the unrolled gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.tabular.open_grid import open_grid
from shapegym.envs.tabular.solver import policy_return
from shapegym.experiments.processes import in_processes
from shapegym.experiments.stats import aggregate, iqm
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.studies.papers.blend_grid import learner
from shapegym.experiments.studies.papers.blend_grid.learner import (
    Gradient,
    InnerProblem,
    hyper_gradient,
    play,
    return_gradient,
    softmax,
    train,
)

Array = NDArray[np.float64]

SEEDS = 5
HEURISTICS = ("none", "good", "half-wrong", "reversed")
ALTERNATIVES = ("task only", "naive sum", "PBRS")
DECAYS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
TERMS = (1, 5, 20, 100)

_SCALE = 0.1
_EPSILON = 1e-4


class GridJob(NamedTuple):
    """One training run."""

    heuristic: str
    method: str
    seed: int
    decay: float = learner.DECAY
    gradient: Gradient = "implicit"
    terms: int = learner.TERMS
    steps: int = learner.STEPS


class GridScore(NamedTuple):
    """Of a run: mean exact task return over the last tenth of its steps, outer steps and those rejected, and what was learned."""

    task_return: float
    outer_steps: int
    rejections: int
    heuristic_weight: float
    inner_gamma: float


class Agreement(NamedTuple):
    """Of a hyper-gradient with central differences: cosine, and |difference| / |differences|."""

    cosine: float
    error: float


def run(request: StudyRequest) -> Findings:
    """Train all, and compare."""
    steps = 8000 if request.quick else learner.STEPS
    decays = DECAYS[-2:] if request.quick else DECAYS
    methods = (*ALTERNATIVES, "BARFI")
    jobs = [
        GridJob(heuristic, method, seed, decay, steps=steps)
        for heuristic in HEURISTICS
        for method in methods
        for decay in decays
        for seed in request.seeds
    ]
    ablations = [
        GridJob("reversed", "BARFI", seed, gradient=gradient, terms=terms, steps=steps)
        for terms in TERMS
        for gradient in ("implicit", "unrolled")
        for seed in request.seeds
    ]
    request.say(f"{len(jobs) + len(ablations)} runs of {steps} environment steps")
    done = request.map(score, jobs + ablations)
    request.say("hyper-gradients against differences")
    agreements = in_processes(agreement, request.seeds, request.workers)

    def scores(heuristic: str, method: str, decay: float) -> list[GridScore]:
        return [done[GridJob(heuristic, method, seed, decay, steps=steps)] for seed in request.seeds]

    def mean(heuristic: str, method: str, decay: float) -> float:
        return float(iqm([each.task_return for each in scores(heuristic, method, decay)]))

    def rejected(method: str, decay: float) -> float:
        found = [each for heuristic in HEURISTICS for each in scores(heuristic, method, decay)]
        return sum(each.rejections for each in found) / sum(each.outer_steps for each in found)

    def ablated(terms: int, gradient: Gradient) -> str:
        wanted = [job for job in ablations if (job.terms, job.gradient) == (terms, gradient)]
        return _cell([done[job] for job in wanted])

    best = {
        (heuristic, method): max(decays, key=lambda decay: mean(heuristic, method, decay))
        for heuristic in HEURISTICS
        for method in ALTERNATIVES
    }
    chosen = {**best, **{(heuristic, "BARFI"): learner.DECAY for heuristic in HEURISTICS}}
    blended = [scores(heuristic, "BARFI", learner.DECAY) for heuristic in HEURISTICS]
    returns = {(h, m): mean(h, m, decay) for (h, m), decay in chosen.items()}
    return Findings(
        claims=_claims(
            returns, {h: [mean(h, m, learner.DECAY) for m in ALTERNATIVES] for h in HEURISTICS}, agreements
        ),
        tables=(
            ResultTable(
                f"Task return, discounted by {learner.GAMMA}: IQM of {len(request.seeds)} seeds [95 % interval]; alternatives at "
                f"their best weight decay, BARFI at {learner.DECAY}",
                ("method", *HEURISTICS),
                tuple((m, *(_cell(scores(h, m, chosen[h, m])) for h in HEURISTICS)) for m in methods),
            ),
            ResultTable(
                "Task return by weight decay: IQM; share of outer steps that were rejected",
                ("method", "weight decay", *HEURISTICS, "rejected"),
                tuple(
                    (m, d, *(f"{mean(h, m, d):.3f}" for h in HEURISTICS), f"{rejected(m, d):.1%}")
                    for m in methods
                    for d in decays
                ),
            ),
            ResultTable(
                "What BARFI learned: mean over seeds",
                ("", *HEURISTICS),
                (
                    (
                        "weight of the heuristic",
                        *(f"{np.mean([x.heuristic_weight for x in found]):.2f}" for found in blended),
                    ),
                    (
                        "discount of the learner",
                        *(f"{np.mean([x.inner_gamma for x in found]):.2f}" for found in blended),
                    ),
                ),
            ),
            ResultTable(
                "Outer steps (batches of episodes) within the budget: mean over seeds",
                ("method", *HEURISTICS),
                tuple(
                    (
                        m,
                        *(
                            int(np.mean([each.outer_steps for each in scores(h, m, chosen[h, m])]))
                            for h in HEURISTICS
                        ),
                    )
                    for m in methods
                ),
            ),
            ResultTable(
                "Hyper-gradient by number of terms K: lowest cosine with central differences over seeds (largest relative error), "
                "and what training on the reversed heuristic returns",
                ("K", "implicit", "unrolled", "return, implicit", "return, unrolled"),
                tuple(
                    (
                        terms,
                        *(
                            f"{min(a[kind][i].cosine for a in agreements):.4f} ({max(a[kind][i].error for a in agreements):.1%})"
                            for kind in (0, 1)
                        ),
                        ablated(terms, "implicit"),
                        ablated(terms, "unrolled"),
                    )
                    for i, terms in enumerate(TERMS)
                ),
            ),
        ),
        notes=(
            f"shapegym/OpenGrid-v0, {steps} environment steps each. Heuristics are -+{_SCALE} x the distance of the successor; "
            "half-wrong is right about rows and wrong about columns.",
            "Returns are exact, of the policies in the last tenth of the steps; nothing learns from them.",
            "The potential is the heuristic, at the learner's discount. The learner does not bootstrap at the time limit, where "
            "the last state's potential therefore stays in the return.",
            "Unrolled: the last K ascent steps from a uniform policy, as in training. Implicit: at the solved optimum.",
        ),
    )


def _claims(
    returns: dict[tuple[str, str], float],
    default: dict[str, list[float]],
    agreements: list[tuple[list[Agreement], list[Agreement]]],
) -> tuple[Claim, ...]:
    """Args: returns by (heuristic, method); of the alternatives at BARFI's own decay; agreements by seed (implicit, unrolled)."""
    shares = {h: returns[h, "BARFI"] / max(returns[h, m] for m in ALTERNATIVES) for h in HEURISTICS}
    factor = returns["reversed", "BARFI"] / returns["reversed", "naive sum"]
    cosine = min(each[0][-1].cosine for each in agreements)
    pbrs = {h: default[h][ALTERNATIVES.index("PBRS")] / default[h][0] for h in HEURISTICS[1:]}
    return (
        Claim(
            "BARFI returns at least 0.85 of the best alternative with every heuristic",
            min(shares.values()) >= 0.85,
            ", ".join(f"{h} {share:.2f}" for h, share in shares.items()),
        ),
        Claim(
            "BARFI returns at least 3 times what the naive sum does with the reversed heuristic",
            factor >= 3,
            f"{factor:.0f} times",
        ),
        Claim(
            f"The hyper-gradient has a cosine of at least 0.999 with central differences at K = {TERMS[-1]}",
            cosine >= 0.999,
            f"lowest of {len(agreements)}: {cosine:.6f}",
        ),
        Claim(
            "PBRS impairs the learner: below 0.95 of the task alone with some heuristic, at the same weight decay",
            min(pbrs.values()) < 0.95,
            ", ".join(f"{h} {share:.2f}" for h, share in pbrs.items()),
        ),
    )


def score(job: GridJob) -> GridScore:
    """Train once."""
    task = open_grid().task
    found = train(
        task,
        *blended(task, job.heuristic, job.method),
        job.seed,
        learns=job.method == "BARFI",
        steps=job.steps,
        decay=job.decay,
        gradient=job.gradient,
        terms=job.terms,
    )
    late = found.steps > 0.9 * job.steps
    return GridScore(
        float(found.returns[late].mean()),
        len(found.steps),
        found.rejections,
        found.phis[-1, -1],
        found.gammas[-1],
    )


def blended(task: FiniteTask, heuristic: str, method: str) -> tuple[Array, Array]:
    """What a method trains on: the parts of its reward (m, S, A, S), the heuristic's last, and their weights at first (m,)."""
    _, reward = task.tables()
    value = heuristic_values(task, heuristic)
    tables = [reward]
    if method in ("naive sum", "BARFI"):
        tables.append(np.broadcast_to(value, reward.shape))
    if method == "PBRS":
        shaping = learner.INNER_GAMMA * np.where(task.terminal, 0.0, value) - value[:, None, None]
        tables.append(np.broadcast_to(shaping, reward.shape))
    phi = np.ones(len(tables))
    if method == "BARFI":  # a bias for each state
        own = np.eye(task.n_states)[:, :, None, None]
        tables = [*np.broadcast_to(own, (task.n_states, *reward.shape)), *tables]
        phi = np.append(np.zeros(task.n_states), phi)
    return np.where(task.terminal[:, None, None], 0.0, tables), phi


def heuristic_values(task: FiniteTask, heuristic: str) -> Array:
    """What a heuristic says of each state, (S,): higher is better."""
    rows, columns = np.abs(task.features["agent_pos"] - task.features["goal_pos"]).T.astype(np.float64)
    signs = {"none": (0, 0), "good": (-1, -1), "half-wrong": (-1, 1), "reversed": (1, 1)}[heuristic]
    return np.asarray(_SCALE * (signs[0] * rows + signs[1] * columns))


def agreement(seed: int) -> tuple[list[Agreement], list[Agreement]]:
    """Implicit and unrolled hyper-gradients, by K, against central differences over all weights and the discount."""
    task = open_grid().task
    start = np.zeros((task.n_states, task.n_actions))
    data = play(task, softmax(start), learner.CAPACITY, np.random.default_rng(seed))
    tables, phi = blended(task, "reversed", "BARFI")
    problem = InnerProblem(tables, data, phi, learner.INNER_GAMMA, learner.DECAY)
    theta = problem.solve(start, 10_000)[-1]

    def solved(change: Array) -> float:
        moved = InnerProblem(tables, data, phi + change[:-1], learner.INNER_GAMMA + change[-1], learner.DECAY)
        return policy_return(task, softmax(moved.solve(theta, 3000)[-1]), learner.GAMMA)

    axes = _EPSILON * np.eye(len(phi) + 1)
    slopes = np.array([(solved(axis) - solved(-axis)) / (2 * _EPSILON) for axis in axes])
    path = problem.solve(start, learner.INNER_STEPS)
    return (
        [_agreement(problem, theta[None], terms, "implicit", slopes, task) for terms in TERMS],
        [_agreement(problem, path, terms, "unrolled", slopes, task) for terms in TERMS],
    )


def _agreement(
    problem: InnerProblem, path: Array, terms: int, kind: Gradient, slopes: Array, task: FiniteTask
) -> Agreement:
    found = hyper_gradient(problem, path, return_gradient(task, path[-1]), terms, kind)
    gradient = np.append(found.by_phi, found.by_gamma)
    lengths = np.linalg.norm(gradient), np.linalg.norm(slopes)
    return Agreement(
        float(gradient @ slopes / (lengths[0] * lengths[1])),
        float(np.linalg.norm(gradient - slopes) / lengths[1]),
    )


def _cell(found: list[GridScore]) -> str:
    return with_ends(aggregate({"grid": [each.task_return for each in found]}), ".3f")
