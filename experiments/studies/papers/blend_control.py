"""BARFI on control tasks: near the best fixed use of any heuristic, and 3 times the naive sum where the heuristic is reversed.

Source: Gupta et al. 2023, "Behavior Alignment via Reward Function Optimization".

The runs are those of the suite ``blend``: CartPole and mountain car, with four heuristics from none to reversed, each left out,
added to the task's reward, used as a potential, and blended by BARFI with learned weights. The learner (BARFI's own, with its
default settings), the environment steps and the seeds are the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shapegym.agents.algorithms.barfi import BARFI
from shapegym.agents.environments import make_vec_env, with_features
from shapegym.agents.evaluation import evaluate
from shapegym.agents.factory import make_agent
from shapegym.agents.settings import resolve_settings
from shapegym.agents.threads import torch_threads
from shapegym.experiments.errors import RunError
from shapegym.experiments.processes import in_processes
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import EVALUATION_SEED
from shapegym.experiments.stats import aggregate, iqm
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.sweeps.suite import load_suite

SEEDS = 5
SUITE = "blend"
FAMILIES = ("cartpole", "mountain_car")
HEURISTICS = ("none", "good", "half_wrong", "reversed")
METHODS = {"sparse": "task only", "naive": "naive sum", "pbrs": "PBRS", "barfi": "BARFI"}
NEAR, AHEAD = 0.85, 3.0
_EPISODES = 100


@dataclass(frozen=True)
class BlendOutcome:
    """Of a run: mean task return of the final policy, the weights it ended with, and how many outer steps were rejected."""

    task_return: float
    weights: dict[str, float]
    rejected: int


BlendOutcomes = dict[tuple[str, str, str], list[BlendOutcome]]
"""(family, heuristic, method) -> one outcome a seed."""


def run(request: StudyRequest) -> Findings:
    """See the module."""
    suite = load_suite(SUITE)
    jobs = suite.plan(quick=request.quick, seeds=request.seeds).jobs
    # Where there is no heuristic to leave out, one run serves several cells.
    configs = {job.digest: job.config for job in jobs}
    request.say(f"{len(configs)} runs")
    found = dict(zip(configs, in_processes(outcome, configs.values(), request.workers), strict=True))
    outcomes: BlendOutcomes = {}
    for job in jobs:
        family, heuristic = _split(job.task)
        outcomes.setdefault((family, heuristic, job.strategy), []).append(found[job.digest])
    for family in FAMILIES:  # without a heuristic, adding it or its potential changes nothing
        for method in ("naive", "pbrs"):
            if (family, "none", "sparse") in outcomes:
                outcomes[family, "none", method] = outcomes[family, "none", "sparse"]
    families = [family for family in FAMILIES if any(key[0] == family for key in outcomes)]
    return Findings(
        claims=tuple(claim for family in families for claim in _claims(family, outcomes)),
        tables=tuple(table for family in families for table in _tables(family, outcomes, len(request.seeds))),
        notes=(
            f"The runs of the suite {SUITE!r} (`shapegym suites {SUITE}`): heuristics, settings and steps stand there.",
            f"Scores are mean task returns, undiscounted, of {_EPISODES} episodes of the final stochastic policy.",
            "BARFI first collects 4 rollouts for its weights alone; the steps count, so its policy has fewer to learn from.",
            "All alternatives are trained by BARFI's inner learner, with weights that stay.",
            "The learner does not bootstrap at the time limit, where the last state's potential therefore stays in PBRS's return.",
        ),
    )


def outcome(config: RunConfig) -> BlendOutcome:
    """Train as the request says and evaluate the final policy.

    Raises:
        RunError: if the request is for another algorithm.
    """
    reward = config.expression()
    settings = resolve_settings(config.algo, config.env, config.settings)
    kwargs = with_features(config.env, reward, config.env_kwargs)
    venv = make_vec_env(config.env, settings.num_envs, seed=config.seed, **kwargs)
    with torch_threads(1):
        model = make_agent(config.algo, venv, reward, seed=config.seed, settings=settings)
        if not isinstance(model, BARFI):
            raise RunError(f"The suite {SUITE!r} trains BARFI, not {config.algo}.")
        model.learn(config.steps)
        venv.close()
        judge = make_vec_env(config.env, 16, **config.env_kwargs)
        result = evaluate(model, judge, _EPISODES, seed=EVALUATION_SEED, deterministic=False)
        judge.close()
    last = model.history[-1]
    return BlendOutcome(result.mean_return, last["weights"], last["rejected"])


def _split(task: str) -> tuple[str, str]:
    family = next(name for name in FAMILIES if task.startswith(f"{name}_"))
    return family, task.removeprefix(f"{family}_")


def _mean(outcomes: BlendOutcomes, family: str, heuristic: str, method: str) -> float:
    return float(iqm(np.array([each.task_return for each in outcomes[family, heuristic, method]])))


def _heuristics(family: str, outcomes: BlendOutcomes) -> list[str]:
    return [name for name in HEURISTICS if (family, name, "barfi") in outcomes]


def _claims(family: str, outcomes: BlendOutcomes) -> tuple[Claim, Claim]:
    shares = {}
    for heuristic in _heuristics(family, outcomes):
        best = max(_mean(outcomes, family, heuristic, method) for method in METHODS if method != "barfi")
        shares[heuristic] = (_mean(outcomes, family, heuristic, "barfi"), best)
    naive = _mean(outcomes, family, "reversed", "naive")
    learned = _mean(outcomes, family, "reversed", "barfi")
    return (
        Claim(
            f"{family}: BARFI reaches {NEAR} of the best alternative with every heuristic.",
            all(own >= NEAR * best for own, best in shares.values()),
            "; ".join(f"{name}: {own:.3g} to {best:.3g}" for name, (own, best) in shares.items()),
        ),
        Claim(
            f"{family}: BARFI returns at least {AHEAD:g} times the naive sum where the heuristic is reversed.",
            learned > 0 and learned >= AHEAD * naive,
            f"{learned:.3g} to {naive:.3g}",
        ),
    )


def _tables(family: str, outcomes: BlendOutcomes, seeds: int) -> Iterator[ResultTable]:
    heuristics = _heuristics(family, outcomes)
    learned = [outcomes[family, name, "barfi"] for name in heuristics]
    yield ResultTable(
        f"{family}: task return, IQM of {seeds} seed(s) [95 % interval]",
        ("method", *heuristics),
        (
            (shown, *(_cell(outcomes[family, name, method]) for name in heuristics))
            for method, shown in METHODS.items()
        ),
    )
    weights = (
        (f"weight: {key}", *(_weight(runs, key) for runs in learned)) for key in ("task", "heuristic", "bias")
    )
    yield ResultTable(
        f"{family}: what BARFI learned, mean over seeds (all weights but the bias began at 1)",
        ("", *heuristics),
        (*weights, ("rejected outer steps", *(sum(each.rejected for each in runs) for runs in learned))),
    )


def _cell(runs: list[BlendOutcome]) -> str:
    scores = np.array([each.task_return for each in runs])
    if len(scores) < 2:
        return f"{scores[0]:.3g}"
    return with_ends(aggregate({"runs": scores}), ".3g")


def _weight(runs: list[BlendOutcome], key: str) -> str:
    values = [each.weights[key] for each in runs if key in each.weights]
    return f"{np.mean(values):.2f}" if values else "-"
