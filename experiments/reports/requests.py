"""Exactly what was asked of every contender, and the commands that ask for it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from shapegym.experiments.reports.sources import Evidence

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_PAIRS = (
    ("--env-arg", "env_kwargs"),
    ("--train-arg", "train_kwargs"),
    ("--eval-arg", "eval_kwargs"),
    ("--set", "settings"),
)
_OPTIONS = ("algo", "steps", "eval_every", "eval_episodes", "checkpoint_every", "learn_every")


@dataclass(frozen=True)
class ContenderRequest:
    """What the runs of one contender on one task were asked to do."""

    task: str  # name of the task
    contender: str  # what is compared
    seeds: tuple[int, ...]  # of its runs
    command: str  # for a POSIX shell, with every setting; trains every seed again


def requests(evidence: Evidence, names: Sequence[str]) -> Iterator[ContenderRequest]:
    """The requests of some contenders, task by task."""
    for task in evidence.tasks:
        for name in names:
            if rows := evidence.groups.get((task, name)):
                seeds = tuple(row.seed for row in rows)
                again = command(evidence.request(rows[0]), seeds, f"{task}-{name}")
                yield ContenderRequest(task, name, seeds, again)


def command(config: Mapping[str, Any], seeds: tuple[int, ...], name: str) -> str:
    """Return what trains a request again, as lines for a POSIX shell.

    Args:
        config: keys of a request, as a run's ``config.yaml`` has them.
        seeds: one run each.
        name: of the reward file and the run folders.
    """
    name = "".join(letter if letter.isalnum() or letter in "._+-" else "_" for letter in name)
    parts = [["shapegym", "train", str(config["env"])]]
    lines = []
    if config.get("reward") is not None:
        lines += [f"cat > {name}.yaml <<'END'", _yaml({"reward": config["reward"]}).rstrip(), "END"]
        parts.append(["--reward", f"{name}.yaml"])
    parts += [["--import", module] for module in config.get("imports", ())]
    for key in _OPTIONS:
        if config.get(key) is not None:
            parts.append([f"--{key.replace('_', '-')}", str(config[key])])
    for option, key in _PAIRS:
        for field, value in config.get(key, {}).items():
            parts.append([option, f"{field}={json.dumps(value)}"])
    again = " \\\n    ".join([*map(shlex.join, parts), f'--seed "$seed" --out "again/{name}-$seed"'])
    return "\n".join([*lines, f"for seed in {' '.join(map(str, seeds))}; do", f"  {again}", "done"])


def _yaml(data: Any) -> str:
    return str(yaml.dump(data, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=100))
