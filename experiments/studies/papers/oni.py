"""ONI comes in a third of the steps to what PPO alone comes to; late and wrong labels cost, a network reads what a table cannot.

Zheng et al. 2024, "Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback", on grid worlds with
captions in the place of NetHack and its messages: an oracle labels captions by patterns, as late and as wrongly as a strategy says.
Latency is in steps of the lanes, so that runs repeat: seconds at 3,200 frames/s, which is about what PPO trains with on one core.
The weight of the reward was chosen on one seed of 100. Where there is its transcript, a language model labels too (``coder``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from shapegym.experiments.stats import Interval, aggregate, kaplan_meier
from shapegym.experiments.studies.claims import Claim, Findings, ResultTable, StudyRequest, with_ends
from shapegym.experiments.sweeps.entry import sweep
from shapegym.experiments.sweeps.results import ResultRow, scores, steps_to
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.annotate.labellers import Oracle
from shapegym.shaping.annotate.language_model import LanguageModel
from shapegym.shaping.annotate.oni import Variant, oni
from shapegym.shaping.annotate.wording import read_answer
from shapegym.shaping.asking.chat import Request
from shapegym.shaping.asking.transcript import read_exchanges
from shapegym.shaping.types import Expression

SEEDS = 5
WEIGHT = 0.1
FRAMES_A_SECOND = 3_200
LANES = 64
SECONDS = (0, 1, 10, 60)
NOISE = (0.1, 0.3)
SOLVED = 0.9

HELPFUL = (
    "you see the * key*",
    "you pick up the *",
    "you unlock *",
    "you open *",
    "you see the * ball*",
    "you see the goal*",
    "you reach *",
)
"""Captions that the oracle calls helpful, on all tasks alike."""

NETWORK: Mapping[str, Any] = {
    "embedding": 16,
    "channels": 32,
    "hidden": 64,
    "learning_rate": 1e-3,
    "batch": 128,
    "updates": 16,
}
"""Of the models that learn: a half of the published sizes, and a rate for the thousands of labels that there are here."""

MODELS = {
    "Qwen2.5-Coder-1.5B-Instruct": "experiments/results/oni/coder.jsonl",
    "SmolLM2-135M-Instruct": "experiments/results/oni/smol.jsonl",
}
"""What models said, relative to the repository; without these files nothing is made of their labels."""
MODEL = "Qwen2.5-Coder-1.5B-Instruct"
"""Whose labels are learned from."""
GOALS = {
    "doorkey8_third": "Use the key to open the door and then get to the goal.",
    "key_corridor_third": "Pick up the ball, which is in a locked room. The key of its door lies in another room.",
}
"""What the model is told of the tasks."""

SHORT, NUMBERED = "key_corridor_third", "key_corridor_numbered"
BASELINES = {"doorkey8": "doorkey8_third", "key_corridor_s3r3": SHORT}
"""Tasks of PPO alone, and the same with at most a third of the steps."""


def reward(
    variant: Variant = "retrieval", seconds: float = 0, noise: float = 0.0, **settings: Any
) -> Expression:
    """Return the task's reward and ONI's."""
    latency = round(seconds * FRAMES_A_SECOND / LANES)
    return TaskReward() + oni(oracle(latency=latency, noise=noise), variant, weight=WEIGHT, **settings)


def oracle(**settings: Any) -> Oracle:
    """Return the oracle."""
    return Oracle(tuple((pattern, 1.0) for pattern in HELPFUL), **settings)


def told(task: str, model: str = MODEL) -> LanguageModel:
    """Return a language model that is told of a task, and answers from its transcript."""
    return LanguageModel(model, task=GOALS[task], cache=MODELS[model], offline=True)


def suite() -> dict[str, Any]:
    """Return the suite. PPO's settings are those of the suite ``exploration``; so are its rows on KeyCorridorS3R3."""
    flat = {"features_extractor_class": "symbols", "net_arch": [64]}
    door_key = {
        "env": "shapegym/MiniGrid-DoorKey-8x8-v0",
        "settings": {"num_envs": 16, "batch_size": 256, "n_epochs": 8},
    }
    corridor = {"env": "shapegym/MiniGrid-KeyCorridorS3R3-v0"}
    numbered: dict[str, Any] = {
        "of": "features.numbered_caption",
        "counted": "features.caption",
        "seconds": 10,
    }
    few = {"points": 10}
    third: dict[str, Any] = {"retrieval": reward()}
    labelled = {
        **third,
        **{f"late_{seconds}s": reward(seconds=seconds) for seconds in SECONDS[1:]},
        **{f"wrong_{noise:.0%}".rstrip("%"): reward(noise=noise) for noise in NOISE},
        "classification": reward("classification", **NETWORK),
        "ranking": reward("ranking", **NETWORK),
    }
    modelled = {
        task: {"coder": TaskReward() + oni(told(task), weight=WEIGHT)}
        if Path(MODELS[MODEL]).is_file()
        else {}
        for task in GOALS
    }
    return {
        "title": "ONI: labels of captions as a reward",
        "seeds": SEEDS,
        "settings": {
            "num_envs": LANES,
            "n_steps": 128,
            "batch_size": 1024,
            "learning_rate": 1e-3,
            "ent_coef": 0.005,
            "policy_kwargs": flat,
        },
        "eval": {"points": 20, "episodes": 32},
        "checkpoints": 2,
        "rewards": {},
        "tasks": {
            "doorkey8_third": {
                **door_key,
                "steps": 250_000,
                "eval": few,
                "rewards": third | modelled["doorkey8_third"],
            },
            SHORT: {**corridor, "steps": 400_000, "eval": few, "rewards": labelled | modelled[SHORT]},
            NUMBERED: {
                "env": "shapegym.experiments.studies.numbered_captions:shapegym/NumberedKeyCorridorS3R3-v0",
                "env_kwargs": {"observation": "flat"},
                "steps": 400_000,
                "eval": few,
                "rewards": {
                    "retrieval": reward(**numbered),
                    "classification": reward("classification", **numbered, **NETWORK),
                },
            },
            "doorkey8": {**door_key, "steps": 750_000, "rewards": {"sparse": None}},
            "key_corridor_s3r3": {**corridor, "steps": 1_500_000, "rewards": {"sparse": None}},
        },
    }


def run(request: StudyRequest) -> Findings:
    """Go on with the sweep that a study before this one began, in ``sweeps/``, and compare."""
    folder = Path("sweeps") / ("oni-quick" if request.quick else "oni")
    done = sweep(
        shortened(suite()) if request.quick else suite(), folder, seeds=request.seeds, workers=request.workers
    )
    request.say(f"{len(done.rows)} of {done.jobs} runs, in {folder}; {len(done.failures)} failed")
    return findings(done.rows)


def shortened(data: dict[str, Any]) -> dict[str, Any]:
    """Return the suite with two thousandths of its steps."""
    tasks = {name: {**task, "steps": task["steps"] // 500} for name, task in data["tasks"].items()}
    return {**data, "eval": {"points": 1, "episodes": 1}, "checkpoints": 0, "tasks": tasks}


Runs = dict[str, dict[str, tuple[ResultRow, ...]]]
"""task -> strategy -> its runs by seed."""


def findings(rows: tuple[ResultRow, ...]) -> Findings:
    """Return what rows of the suite say, as many as there are."""
    runs: Runs = {}
    for row in sorted(rows, key=lambda row: row.seed):
        group = runs.setdefault(row.task, {})
        group[row.strategy] = (*group.get(row.strategy, ()), row)
    claims = [
        _sooner(long, runs[long]["sparse"], runs[short]["retrieval"])
        for long, short in BASELINES.items()
        if "sparse" in runs.get(long, {}) and "retrieval" in runs.get(short, {})
    ]
    claims += _ordered(runs.get(SHORT, {}))
    if {"retrieval", "classification"} <= runs.get(NUMBERED, {}).keys():
        claims.append(_reads_more(runs[NUMBERED]))
    return Findings(
        claims=tuple(claims),
        tables=(*(_table(task, groups) for task, groups in runs.items()), *_agreement()),
        notes=(
            f"Latency is in steps of {LANES} lanes: seconds at {FRAMES_A_SECOND:,} frames/s.",
            "Success: mean over the seeds of the last evaluation, 32 episodes [95 % interval].",
            f"Steps to {SOLVED}: Kaplan-Meier median of the first such evaluation; infinite where half never get there.",
        ),
    )


def _success(rows: tuple[ResultRow, ...]) -> Interval:
    values = scores(rows, "success_rate")
    if len(values) == 1:  # one run bounds nothing
        return Interval(float(values[0]), 0.0, 1.0)
    return aggregate({"task": values}, np.mean, within=(0.0, 1.0))


def _sooner(task: str, alone: tuple[ResultRow, ...], ours: tuple[ResultRow, ...]) -> Claim:
    wanted, found = _success(alone), _success(ours)
    return Claim(
        f"{task}: with at most a third of the steps ONI comes to the mean success of PPO alone, or more",
        3 * ours[0].steps <= alone[0].steps and found.estimate >= wanted.estimate,
        f"ONI {with_ends(found)} after {ours[0].steps:,} steps, PPO alone {with_ends(wanted)} after {alone[0].steps:,}",
    )


def _ordered(groups: dict[str, tuple[ResultRow, ...]]) -> list[Claim]:
    """Success does not rise with latency or with noise, beyond one episode in 32."""
    claims = []
    for what, names in (
        ("latency", ["retrieval", *(f"late_{seconds}s" for seconds in SECONDS[1:])]),
        ("noise", ["retrieval", *(f"wrong_{noise:.0%}".rstrip("%") for noise in NOISE)]),
    ):
        if set(names) <= groups.keys():
            found = [_success(groups[name]) for name in names]
            falls = all(b.estimate <= a.estimate + 1 / 32 for a, b in pairwise(found))
            measured = ", ".join(
                f"{name} {with_ends(value)}" for name, value in zip(names, found, strict=True)
            )
            claims.append(Claim(f"success does not rise with {what}", falls, measured))
    return claims


def _reads_more(groups: dict[str, tuple[ResultRow, ...]]) -> Claim:
    table, network = groups["retrieval"], groups["classification"]
    return Claim(
        "where captions never come twice, every run of a classifier comes to more success than any of a table",
        bool(scores(network, "success_rate").min() > scores(table, "success_rate").max()),
        f"classification {with_ends(_success(network))}, retrieval {with_ends(_success(table))}",
    )


def _table(task: str, groups: dict[str, tuple[ResultRow, ...]]) -> ResultTable:
    rows = [
        (
            strategy,
            len(runs),
            runs[0].steps,
            with_ends(_success(runs)),
            kaplan_meier(*steps_to(runs, SOLVED)).median,
        )
        for strategy, runs in groups.items()
    ]
    return ResultTable(task, ("reward", "seeds", "steps", "success", f"steps to {SOLVED}"), rows)


def _agreement() -> tuple[ResultTable, ...]:
    """How the labels of models compare with those of the oracle, where there are their transcripts."""
    judge, rows = oracle(), list[tuple[str | float | int, ...]]()
    for model, task in product([name for name, file in MODELS.items() if Path(file).is_file()], GOALS):
        both = [(said, judge.label(caption)) for caption, said in labels_of(task, model).items()]
        missed = sum(said != 1 for said, label in both if label)
        wrong = sum(said != 0 for said, label in both if not label)
        right = sum(said == label for said, label in both)
        rows.append((model, task, len(both), right / max(len(both), 1), missed, wrong))
    columns = (
        "model",
        "task",
        "captions",
        "agree",
        "helpful ones that it missed",
        "others that it called helpful",
    )
    return (ResultTable("Labels of language models beside the oracle's", columns, rows),) if rows else ()


def labels_of(task: str, model: str = MODEL) -> dict[str, float | None]:
    """Return what a model said of captions, by caption; None where that was neither word."""
    found = {}
    for exchange in read_exchanges(Path(MODELS[model]), Request):
        lines = exchange.request.messages[-1].content.splitlines()
        if f"Task: {GOALS[task]}" in lines:
            caption = json.loads(lines[-2].removeprefix("Message: "))
            found[caption] = read_answer("label", exchange.reply.text)
    return found
