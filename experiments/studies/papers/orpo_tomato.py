"""Near the base policy's visits a proxy stays safe to optimise, over a sweep in which keeping near its actions does not.

On tomato watering, exactly: the proxy is tabulated on the finite task, and each policy maximises J_proxy - lambda D with D between
the occupancies of the policy and of a base policy, or between their actions (`shapegym.agents.finite.occupancy`). The base policy
is optimal for the task, except that one action in ten is random. lambda is given in standard deviations of the proxy under the base
policy. Source of the claim: Laidlaw, Singhal & Dragan 2024, arXiv 2403.03185, section 5. Theirs is about PPO; nothing is sampled
here, so what is compared are the objectives themselves.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.finite.occupancy import (
    Optimum,
    Penalty,
    RegularisedTask,
    correlation,
    divergence,
    guaranteed_gain,
)
from shapegym.agents.finite.tabulate import Tables, tabulate
from shapegym.envs.tabular.solver import optimal_actions, optimal_return, policy_return, value_iteration
from shapegym.experiments.named import reward_named
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest

SEEDS = 5
"""Seeds of the policies that the search starts from, where that is varied."""

ENV_ID, PROXY = "shapegym/TomatoWatering-v0", "tomato_watering_proxy"
GAMMA, RANDOM_ACTIONS = 0.99, 0.1
PENALTIES: tuple[Penalty, ...] = ("sqrt_chi2", "chi2", "kl", "action_kl")
COEFFICIENTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STEPS = 500
"""Of the search for one policy."""

PPO_STEPS = 60_000
PPO_COEFFICIENTS: tuple[float | None, ...] = (None, 0.1, 1.0)
"""None: the proxy alone."""
_SEEN = ("agent_pos", "tomatoes")
"""What the discriminator reads: it would learn each one-hot state by itself."""


@dataclass(frozen=True)
class Setting:
    """The task, its two rewards and the base policy."""

    tables: Tables  # the task with its proxy
    problem: RegularisedTask  # J_proxy - lambda D
    truth: NDArray[np.float64]  # the expected task reward, (S, A)
    scale: float  # standard deviation of the proxy under the base policy
    r: float  # correlation of task reward and proxy under the base policy

    @property
    def advised(self) -> float:
        """lambda* / scale = sqrt(1 - r^2) / r."""
        return math.sqrt(1.0 - self.r**2) / self.r


@dataclass(frozen=True)
class PolicyScore:
    """What a policy earns."""

    objective: float  # J_proxy - lambda D
    task: float  # task return of an episode
    proxy: float  # J_proxy, a mean per step
    truth: float  # the same of the task reward
    chi2: float  # of the visits of states and actions, from those of the base policy


@cache
def setting() -> Setting:
    """Tabulate the task and solve it for the base policy."""
    tables = tabulate(ENV_ID, reward_named(PROXY)[0], GAMMA)
    task = tables.finite
    truth, proxy = ((task.probability * paid).sum(axis=2) for paid in (task.reward, tables.branch_shaped))
    _, q = value_iteration(tables.P, truth, GAMMA)
    best = np.eye(task.n_actions)[optimal_actions(q).argmax(axis=1)]
    base = (1.0 - RANDOM_ACTIONS) * best + RANDOM_ACTIONS / task.n_actions
    problem = RegularisedTask(tables.P, proxy, task.start, base, GAMMA)
    mu = problem.base_occupancy
    scale = math.sqrt(float((mu * (proxy - (mu * proxy).sum()) ** 2).sum()))
    return Setting(tables, problem, truth, scale, correlation(truth, proxy, mu))


def score(case: tuple[Penalty, float, int | None], steps: int = STEPS) -> PolicyScore:
    """Find the best policy of a penalty and coefficient, from the base policy or from a random one of a seed."""
    penalty, coefficient, seed = case
    here = setting()
    logits = None if seed is None else np.random.default_rng(seed).normal(size=here.truth.shape)
    return scored(here.problem.solve(penalty, coefficient * here.scale, logits, steps=steps))


def scored(found: Optimum) -> PolicyScore:
    """Return what a policy earns on either reward."""
    here = setting()
    mu = found.occupancy
    chi2, _ = divergence(mu, here.problem.base_occupancy, "chi2")
    return PolicyScore(
        found.objective,
        policy_return(here.tables.finite, found.policy),
        float((mu * here.problem.reward).sum()),
        float((mu * here.truth).sum()),
        chi2,
    )


def trained(case: tuple[float | None, int], steps: int) -> float:
    """Train PPO on the proxy, with the discriminator's penalty unless its coefficient is None; return its final task return."""
    from shapegym.agents.base_policy import record_base
    from shapegym.agents.evaluation import evaluate
    from shapegym.agents.factory import make_agent
    from shapegym.agents.finite.oracle import OptimalPolicy
    from shapegym.shaping.terms.occupancy import OccupancyPenalty

    coefficient, seed = case
    reward = reward_named(PROXY)[0]
    with tempfile.TemporaryDirectory() as folder:
        if coefficient is not None:
            base = str(Path(folder) / "base.npz")
            record_base(
                OptimalPolicy(ENV_ID, GAMMA),
                ENV_ID,
                base,
                seed=seed,
                random_actions=RANDOM_ACTIONS,
                features=_SEEN,
            )
            keys = tuple(f"features.{name}" for name in _SEEN)
            reward += coefficient * setting().scale * OccupancyPenalty(base, keys, hidden=64)
        model = make_agent("PPO", ENV_ID, reward, seed=seed)
        model.learn(steps)
    return evaluate(model, ENV_ID, 50, seed=1000 + seed, deterministic=False).mean_return


def run(request: StudyRequest) -> Findings:
    """Sweep lambda exactly, vary the start, then train with the discriminator."""
    here = setting()
    base = scored(Optimum(here.problem.base, here.problem.base_occupancy, math.nan, 0.0, 0.0))
    coefficients = sorted({*(COEFFICIENTS[1:5:3] if request.quick else COEFFICIENTS), here.advised})
    steps, ppo_steps = (20, 2_048) if request.quick else (STEPS, PPO_STEPS)
    sweep = [(penalty, coefficient, None) for penalty in PENALTIES for coefficient in coefficients]
    starts = [
        (penalty, here.advised, seed) for penalty in ("sqrt_chi2", "action_kl") for seed in request.seeds
    ]
    request.say(f"{len(sweep) + len(starts)} exact optima")
    found = request.map(partial(score, steps=steps), [*sweep, *starts])
    runs = [(coefficient, seed) for coefficient in PPO_COEFFICIENTS for seed in request.seeds]
    request.say(f"{len(runs)} runs of PPO")
    returns = request.map(partial(trained, steps=ppo_steps), runs)
    ends = {each: [returns[each, seed] for seed in request.seeds] for each in PPO_COEFFICIENTS}

    def over(penalty: Penalty) -> dict[float, PolicyScore]:
        return {coefficient: found[penalty, coefficient, None] for coefficient in coefficients}

    kept, lost = over("sqrt_chi2"), over("action_kl")
    keeps = [c for c in coefficients if kept[c].task >= base.task - 1e-6]
    loses = [c for c in keeps if lost[c].task < base.task / 2]
    best = max(kept.values(), key=lambda one: one.task)
    advised = kept[here.advised]
    bound = guaranteed_gain((advised.proxy - base.proxy) / here.scale, here.r, advised.chi2)
    spread = {
        penalty: [found[penalty, here.advised, seed].task for seed in request.seeds]
        for penalty in ("sqrt_chi2", "action_kl")
    }
    guarded = ends[PPO_COEFFICIENTS[-1]]
    return Findings(
        claims=(
            Claim(
                "√χ² occupancy keeps the base policy's task return at its best λ, and at every λ of the sweep",
                best.task >= base.task and len(keeps) == len(coefficients),
                f"best {best.task:.2f}, base {base.task:.2f}; kept at {len(keeps)} of {len(coefficients)}",
            ),
            Claim(
                "action-KL falls under half of it over a decade of λ or more, where √χ² keeps it",
                bool(loses) and max(loses) >= 10 * min(loses),
                f"λ/σ from {min(loses, default=math.nan):.3g} to {max(loses, default=math.nan):.3g}",
            ),
            Claim(
                "at the λ that the theory advises √χ² keeps it, and the bound guarantees no loss",
                advised.task >= base.task and bound >= 0,
                f"λ*/σ = {here.advised:.3g} (r = {here.r:.4f}): {advised.task:.2f}; guaranteed gain {bound:.2g} σ_task a step",
            ),
            Claim(
                "nor does that depend on the start: from random policies, too, √χ² keeps it there and action-KL loses half",
                min(spread["sqrt_chi2"]) >= base.task and max(spread["action_kl"]) < base.task / 2,
                "; ".join(
                    f"{penalty} {min(tasks):.2f} to {max(tasks):.2f}" for penalty, tasks in spread.items()
                ),
            ),
            Claim(
                "PPO on the proxy ends under a tenth of the base's task return in every run, with the penalty over nine tenths",
                max(ends[None]) < 0.1 * base.task and min(guarded) > 0.9 * base.task,
                f"at most {max(ends[None]):.2f}; at least {min(guarded):.2f} (n = {len(guarded)})",
            ),
        ),
        tables=(
            ResultTable(
                "Task return of an episode under the policy that maximises J_proxy − λ D, exact",
                ("λ/σ", *PENALTIES),
                (
                    (
                        f"{coefficient:.3g}" + " (advised)" * (coefficient == here.advised),
                        *(f"{over(penalty)[coefficient].task:.2f}" for penalty in PENALTIES),
                    )
                    for coefficient in coefficients
                ),
            ),
            ResultTable(
                f"PPO, {ppo_steps} steps: task return of its last policy",
                ("reward", "mean", "lowest", "highest"),
                (
                    (
                        "proxy" if coefficient is None else f"proxy + {coefficient:g} σ OccupancyPenalty",
                        *(f"{value:.2f}" for value in (sum(values) / len(values), min(values), max(values))),
                    )
                    for coefficient, values in ends.items()
                ),
            ),
        ),
        notes=(
            f"The base policy earns {base.task:.2f}, the best {optimal_return(here.tables.finite):.2f}; σ = {here.scale:.4f}.",
            "λ of different divergences are not one unit: what counts is over how wide a range the return is kept.",
        ),
    )
