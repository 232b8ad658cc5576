"""Guards keep what a proxy teaches and drop what it can be hacked for: every one of them on the hackable tasks.

On each task PPO learns from the task reward r, from a dense part p that a designer would add (and that the optimal hacker of
`hackable-tasks` exploits), from their plain sum, and from r and p under each guard. Runs are scored by the task alone.

What a guard must know is taken from the task's exact solution, where its paper takes it from a search or from judges: the threshold
of the constraint is the p of the policy that is optimal for r, the gate opens at the outcome of the suite `hack`, and outcomes are
brought to [0, 1] by the optimal return.

A second part is exact: two correlated proxies of a score that peaks where they are (0.4, 0.6), and a policy that maximises them
less a KL cost. Multipliers hold each at its threshold; every fixed weight is tried instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial

import gymnasium as gym
import numpy as np

from shapegym.agents.evaluation import evaluate
from shapegym.agents.factory import make_agent
from shapegym.agents.finite.tabulate import tabulate
from shapegym.envs.tabular import solver
from shapegym.experiments.stats import aggregate
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.bounds import cap, delta
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.means import harmonic_mean
from shapegym.shaping.combinators.renorm import renorm
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import Read
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec
from shapegym.shaping.types import Expression
from shapegym.shaping.weights.bandit import UCB1, choose_by
from shapegym.shaping.weights.multipliers import Multiplier, constrained
from shapegym.shaping.weights.schedules import Linear
from shapegym.shaping.weights.trust import trusted

SEEDS = 5
"""Reported seeds by default."""

GAMMA, STEPS, EPISODES = 0.99, 49_152, 64
TASK = TaskReward()


@dataclass(frozen=True)
class Hackable:
    """A task's dense part and what guards need to know of it."""

    part: Expression  # p
    worth: float  # the most that p pays at a step
    opens: float  # outcome that opens the gate, as in the suite ``hack``
    potential: Expression  # a potential of what p pays for


def _event(number: int, value: float) -> Event:
    return Event("features.event", value, equals=number)


_LOOKS = Read("features.looks_watered")
_TO_GOAL = Distance("features.agent_pos", "features.goal_pos", "l1")
HACKABLE = {
    "ToolCalls": Hackable(
        _event(2, 0.2) + _event(3, 0.2) + _event(4, 0.2), 0.2, 0.5, 0.2 * Potential("features.content")
    ),
    "ToolChain": Hackable(_event(3, 0.2) + _event(4, 0.4), 0.4, 0.25, 0.2 * Potential("features.content")),
    "TomatoWatering": Hackable(0.02 * StateReward(_LOOKS), 0.08, 4.0, 0.02 * Potential(_LOOKS)),
    "BoatRace": Hackable(_event(1, 0.5), 0.5, 1.0, Potential("features.progress")),
    "Vases": Hackable(_event(2, 1.0) - 0.02, 1.0, 1.0, 0.1 * Potential(_TO_GOAL)),
    "MisleadingCorridor": Hackable(_event(1, 0.1), 0.1, 0.01, 0.1 * Potential(_TO_GOAL)),
}
"""Dense parts of the hackable tasks: what their proxies pay beside the task reward."""


@dataclass(frozen=True)
class ReturnScale:
    """Exact returns: of the best and of the random policy, and p of the best; in the task's own unit."""

    optimal: float
    random: float
    part: float


@cache
def scale_of(name: str) -> ReturnScale:
    """Solve a task."""
    tables = tabulate(f"shapegym/{name}-v0", HACKABLE[name].part, GAMMA)
    task = tables.finite
    policy = solver.value_iteration(tables.P, tables.task, GAMMA, task.terminal)[1].argmax(axis=1)
    paid = replace(task, reward=tables.branch_shaped)
    return ReturnScale(
        solver.optimal_return(task), solver.random_return(task), solver.policy_return(paid, policy)
    )


def rewards(name: str, steps: int) -> dict[str, Expression]:
    """Return what each strategy is trained on."""
    task, scale = HACKABLE[name], scale_of(name)
    p, whole = task.part, TASK + task.part
    strategies = {
        "task": TASK,
        "part": p,
        "task + part": whole,
        "clip": TASK + cap(p, task.worth),
        "delta": TASK + delta(p),
        "gate": gate(p, threshold=task.opens),
        "potential": TASK + task.potential,
        "renorm": renorm((1 / task.worth) * p, (1 / scale.optimal) * TASK),
        "trust": TASK + trusted(p, Linear(1.0, 0.0, steps), over="episode"),
        "constrained": constrained(TASK, {p: scale.part}, "equal"),
        "bandit": choose_by(UCB1(2, period=steps // 24, high=scale.optimal), TASK, whole),
    }
    if (
        name == "TomatoWatering"
    ):  # the only one whose task reward and part are two measurements of the same steps
        strategies["harmonic"] = harmonic_mean((1 / task.worth) * TASK, (1 / task.worth) * p)
    return strategies


@dataclass(frozen=True)
class GuardRun:
    """One training run to make."""

    name: str
    strategy: str
    seed: int
    steps: int


def train(run: GuardRun) -> tuple[float, float]:
    """Return the share of the way from the random to the optimal return that the trained policy goes, and its success rate."""
    reward = rewards(run.name, run.steps)[run.strategy]
    model = make_agent(
        "ConstrainedPPO" if run.strategy == "constrained" else "PPO",
        f"shapegym/{run.name}-v0",
        reward,
        seed=run.seed,
        gamma=GAMMA,
        n_steps=64,
        learning_rate=1e-3,
    )
    model.learn(run.steps)
    episodes = EPISODES if run.steps == STEPS else 16
    played = evaluate(model, f"shapegym/{run.name}-v0", episodes, seed=10_000 + run.seed, deterministic=False)
    scale = scale_of(run.name)
    return (played.mean_return - scale.random) / (scale.optimal - scale.random), played.success_rate or 0.0


def run(request: StudyRequest) -> Findings:
    """Train every strategy on every task."""
    names, steps = (["TomatoWatering"], 1_024) if request.quick else (list(HACKABLE), STEPS)
    plan = [
        GuardRun(name, strategy, seed, steps)
        for name in names
        for strategy in rewards(name, steps)
        for seed in request.seeds
    ]
    request.say(f"{len(plan)} runs of {steps} steps")
    found = request.map(train, plan)
    everywhere = list(rewards("Vases", steps))
    return Findings(
        claims=(*_claims(found, everywhere), _constrained_claim()),
        tables=(
            _table("Share of the way from random to optimal task return, mean of seeds", found, names, 0),
            _table("Success, mean of seeds", found, names, 1),
        ),
        notes=(
            f"PPO, {steps} steps over 16 lanes, learning rate 1e-3, policies evaluated as they act ({EPISODES} episodes).",
            "A share below 0 is worse than random play. 'harmonic' needs two measurements of one step, so it is on one task only.",
        ),
    )


def _of(found: dict[GuardRun, tuple[float, float]], strategy: str, column: int) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {}
    for one, values in found.items():
        if one.strategy == strategy:
            scores.setdefault(one.name, []).append(values[column])
    return scores


def _table(
    title: str, found: dict[GuardRun, tuple[float, float]], names: list[str], column: int
) -> ResultTable:
    rows = []
    for strategy in dict.fromkeys(one.strategy for one in found):
        means = {name: float(np.mean(values)) for name, values in _of(found, strategy, column).items()}
        over_all = f"{np.mean(list(means.values())):.2f}" if len(means) == len(names) else ""
        rows.append((strategy, *(f"{means[name]:.2f}" if name in means else "" for name in names), over_all))
    return ResultTable(title, ("reward", *names, "mean"), rows)


def _claims(found: dict[GuardRun, tuple[float, float]], everywhere: list[str]) -> tuple[Claim, ...]:
    """Every guard against the plain sum, than which it must be safer, and against the task alone, to which it should add."""
    means = {strategy: aggregate(_of(found, strategy, 0), np.mean) for strategy in everywhere}
    claims = []
    for rival, guards in (("task + part", list(means)), ("task", list(means)[3:])):
        for guard in guards:
            if guard not in ("part", rival):
                text = f"{guard} earns more of the tasks than {rival}, beyond both intervals"
                measured = f"{with_ends(means[guard])} against {with_ends(means[rival])}"
                claims.append(Claim(text, means[guard].low > means[rival].high, measured))
    return tuple(claims)


CELLS = np.linspace(0.0, 1.0, 11)
PEAK = (0.4, 0.6)


def constrained_peak(hold: str, beta: float = 0.2, updates: int = 4000) -> tuple[tuple[float, float], float]:
    """Hold two proxies at the peak of the true score: where they end up, and the true score there."""
    terms = [Multiplier(TASK, theta, hold, learning_rate=0.3) for theta in PEAK]  # type: ignore[arg-type]
    box = gym.spaces.Box(0.0, 1.0, (1,))
    states = [term.init(Spec(1, box, gym.spaces.Discrete(2))) for term in terms]
    result = (0.0, 0.0), 0.0
    for _ in range(updates):
        weights = [term.weight(state["mu"]) for term, state in zip(terms, states, strict=True)]
        result = regularised(weights, beta * (len(terms) - sum(weights)))
        for term, state, mean in zip(terms, states, result[0], strict=True):
            term.descend(state, mean)
    return result


def regularised(weights: list[float], beta: float) -> tuple[tuple[float, float], float]:
    """The policy over a grid of arms that maximises ``w . proxies - beta KL(policy, uniform)``: its proxies and its true score."""
    x, y = np.meshgrid(CELLS, CELLS, indexing="ij")
    logits = (weights[0] * x + weights[1] * y) / beta
    policy = np.exp(logits - logits.max())
    policy /= policy.sum()
    proxies = float((policy * x).sum()), float((policy * y).sum())
    return proxies, 1.0 - (proxies[0] - PEAK[0]) ** 2 - (proxies[1] - PEAK[1]) ** 2


def _constrained_claim() -> Claim:
    (held, score), weights = constrained_peak("equal"), np.linspace(0.0, 2.0, 41)
    fixed = max(map(partial(_fixed_score, beta=0.2), weights))
    return Claim(
        "held at their thresholds, two proxies reach the peak of the true score, and no common fixed weight does (exact)",
        score > fixed and np.allclose(held, PEAK, atol=0.01),
        f"proxies ({held[0]:.3f}, {held[1]:.3f}), score {score:.4f}; the best of {len(weights)} fixed weights {fixed:.4f}",
    )


def _fixed_score(weight: float, beta: float) -> float:
    return regularised([weight, weight], beta)[1]
