"""The fields of a run that can be swept, by path.

============================  ==========================================================================
``reward.NODE.FIELD``         of every node with that registered name, or that name of its own
``settings.KEY``              a hyper-parameter of the algorithm
``env_kwargs.KEY``            an argument of the environment
``env``, ``algo``, ``steps``  of the request; the seed is none of them, because variants are paired by it
============================  ==========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from functools import lru_cache
from typing import Any

from shapegym.agents.settings import hyper_parameters
from shapegym.experiments.errors import RunError
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.sweeps.plan import Job
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.limits import fields_of
from shapegym.shaping.types import Expression, snake_case

_PLAIN = ("env", "algo", "steps")


def apply(job: Job, values: Mapping[str, Any]) -> Job | None:
    """Return the job with other values in some fields, which become its variant; None if it lacks one of the fields.

    Args:
        job: of a plan.
        values: path -> value.

    Raises:
        RunError: if a path is no such path, or a field does not take its value.
    """
    config: RunConfig | None = job.config
    for path in sorted(
        values, key=lambda path: path not in _PLAIN
    ):  # the algorithm says which settings there are
        try:
            config = None if config is None else _changed(config, path, values[path])
        except (RunError, ShapingError) as error:
            raise RunError(
                f"{path}={values[path]!r} does not fit {job.task}/{job.strategy}: {error}"
            ) from error
    return None if config is None else replace(job, config=config, variant={**job.variant, **values})


def fitted(job: Job, values: Mapping[str, Any]) -> Job:
    """Return the job with other values in those of the fields that it has."""
    for path in sorted(values, key=lambda path: path not in _PLAIN):
        job = apply(job, {path: values[path]}) or job
    return job


def fields_of_job(job: Job) -> set[str]:
    """Return the paths that `apply` takes for a job; of the environment's arguments only those that are given."""
    reward = job.config.expression()
    nodes = [] if reward is None else list(_nodes(reward))
    return {
        *_PLAIN,
        *(f"settings.{key}" for key in hyper_parameters(job.config.algo)),
        *(f"env_kwargs.{key}" for key in job.config.env_kwargs),
        *(
            f"reward.{name}.{field.name}"
            for node in nodes
            for name in _names(node)
            for field in fields_of(type(node))
            if not _holds_expressions(getattr(node, field.name))
        ),
    }


def _changed(config: RunConfig, path: str, value: Any) -> RunConfig | None:
    kind, _, key = path.partition(".")
    if path in _PLAIN:
        return replace(config, **{path: value})
    if kind == "settings" and key:
        known = key in hyper_parameters(config.algo)
        return replace(config, settings={**config.settings, key: value}) if known else None
    if kind == "env_kwargs" and key:
        return replace(config, env_kwargs={**config.env_kwargs, key: value})
    node, _, field = key.rpartition(".")
    if kind != "reward" or not node:
        raise RunError(
            "What can be swept is reward.NODE.FIELD, settings.KEY, env_kwargs.KEY, "
            + " and ".join(_PLAIN)
            + "."
        )
    if config.reward is None:
        return None
    changed = _changed_reward(json.dumps(config.reward), node, field, json.dumps(value))
    return None if changed is None else replace(config, reward=json.loads(changed))


@lru_cache(maxsize=4096)  # seeds share their rewards
def _changed_reward(reward: str, name: str, field: str, value: str) -> str | None:
    expression = from_data(json.loads(reward))
    found = any(
        name in _names(node) and field in {item.name for item in fields_of(type(node))}
        for node in _nodes(expression)
    )
    if not found:
        return None
    return json.dumps(to_data(from_data(_encoded(expression, name, field, json.loads(value)))))


def _nodes(value: Any) -> Iterator[Any]:
    """Everything that reward files write as a node: expressions, state functions, options."""
    if is_dataclass(value):
        yield value
        for field in fields_of(type(value)):
            yield from _nodes(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def _names(node: Any) -> set[str]:
    own = {node.name} if isinstance(node, Expression) and node.name is not None else set()
    return {snake_case(type(node).__name__), *own}


def _encoded(value: Any, name: str, field: str, new: Any) -> Any:
    """The data of an expression, written out in full, with another value in a field of the nodes of that name."""
    if is_dataclass(value) and not isinstance(value, type):
        body = {
            item.name: new
            if name in _names(value) and item.name == field
            else _encoded(getattr(value, item.name), name, field, new)
            for item in fields_of(type(value))
        }
        if isinstance(value, Expression) and value.name is not None:
            body["name"] = value.name
        return {snake_case(type(value).__name__): body}
    if isinstance(value, tuple):
        return [_encoded(item, name, field, new) for item in value]
    return value


def _holds_expressions(value: Any) -> bool:
    items = value if isinstance(value, tuple) else (value,)
    return any(isinstance(item, Expression) for item in items)
