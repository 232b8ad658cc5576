"""What the contract promises of models, tried out on recorded transitions."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from shapegym.shaping.arrays import flatten, map_rows, tree_equal, tree_map, tree_take
from shapegym.shaping.evaluation.transfer import hand_over
from shapegym.shaping.testing.recording import ROUNDED, Bench
from shapegym.shaping.testing.watched import Watched, taken
from shapegym.shaping.transitions import Experience, Spec, State, Transitions
from shapegym.shaping.types import Model

Complaints: TypeAlias = Iterator[str]
"""What breaks a promise, in words."""


def complaints_of_model(model: Model, bench: Bench) -> Complaints:
    """Yield what is wrong with a model, evaluated and fitted on what the bench recorded."""
    memories = [(yield from _quietly(model, bench.spec)), (yield from _quietly(model, bench.spec))]
    if not tree_equal(*(memory.state_dict() for memory in memories)):
        yield "two that begin with one seed differ; draw from spec.seed alone."
    watched = Watched(bench)
    batch, parts = bench.batch, np.zeros((len(watched.states), bench.batch.num_lanes))
    outputs = watched.outputs(batch, parts, bench.stream)
    position = watched.program.readers.index(model)
    inputs = [get(parts, outputs) for get in watched.program.inputs[position]]
    yield from _check_outputs(model, memories[0], bench, inputs)
    yield from _check_other_lanes(model, memories[0], bench.spec)
    if not model.learned:
        return
    memories[1].load_state_dict(memories[0].state_dict())  # what a recurrent one has observed
    sizes = []
    experience = bench.experience
    shape = (*experience.clocks.shape, bench.spec.num_lanes)
    blocks = [tree_map(lambda rows: rows.reshape(*shape, *rows.shape[1:]), value) for value in inputs]
    idle = _with_idle_rows(experience)
    idle_blocks = [tree_map(lambda rows: np.concatenate([rows, rows[-1:]]), value) for value in blocks]
    for _ in range(4):
        numbers = [
            model.fit(block, memory, *values)
            for block, memory, values in zip((experience, idle), memories, (blocks, idle_blocks), strict=True)
        ]
        yield from _check_report(numbers[0])
        states = [memory.state_dict() for memory in memories]
        if not tree_equal(*states):
            yield (
                "a fit depends on rows with active=False, or equal fits come to different ends: take "
                "experience.rows(), and random numbers from what the model remembers."
            )
        yield from _check_finite(states[0])
        sizes.append(sum(np.size(value) for value in flatten(states[0]).values()))
    if sizes[1] < sizes[2] < sizes[3]:
        yield (f"what it remembers grows with every fit ({', '.join(map(str, sizes))} numbers): bound it.")
    yield from _check_outputs(model, memories[0], bench, inputs)
    restored = model.init(bench.spec)
    restored.load_state_dict(memories[0].state_dict())
    for memory in (memories[0], restored):
        model.fit(experience, memory, *blocks)
    if not tree_equal(memories[0].state_dict(), restored.state_dict()):
        yield "a fit after state_dict and load_state_dict comes to another end than without."


def _check_other_lanes(model: Model, memory: Any, spec: Spec) -> Complaints:
    elsewhere = model.init(replace(spec, num_lanes=spec.num_lanes + 2, worlds=()))
    try:
        hand_over(model, memory.state_dict(), elsewhere)
    except Exception as error:
        yield (
            f"what it has learned does not load into a run of another number of lanes ({error}). Name what belongs to open "
            "episodes in per_lane."
        )


def _quietly(model: Model, spec: Spec) -> Generator[str, None, Any]:
    """Make a memory, and see that the global streams are left alone."""
    import torch

    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    memory = model.init(spec)
    after = np.random.get_state()[1], torch.get_rng_state()  # type: ignore[index]  # noqa: NPY002
    if not (np.array_equal(before[0], after[0]) and torch.equal(before[1], after[1])):
        yield (
            "init drew from the global stream of NumPy or torch; its random numbers come from spec.seed "
            "(shapegym.shaping.networks.Networks does that)."
        )
    return memory


def _check_outputs(model: Model, memory: Any, bench: Bench, inputs: list[Any]) -> Complaints:
    """Evaluate all of the stream at once, or step by step if the model is recurrent."""
    if not model.recurrent:
        yield from _check_evaluate(model, memory, bench.batch, inputs)
        yield from _check_fewer(model, memory, bench.batch, inputs)
        return
    lanes = bench.spec.num_lanes
    for t, step in enumerate(bench.stream):
        values = [tree_take(value, slice(t * lanes, (t + 1) * lanes)) for value in inputs]
        model.observe(step, memory, *values)
        yield from _check_evaluate(model, memory, step, values)


def _check_fewer(model: Model, memory: Any, batch: Transitions, inputs: list[Any]) -> Complaints:
    some = np.flatnonzero(batch.active)[::3]
    outputs = model.evaluate(batch, memory, *inputs)
    fewer = model.evaluate(taken(batch, some), memory, *(tree_take(value, some) for value in inputs))
    for name, values in outputs.items():
        if not np.allclose(values[some], fewer[name], **ROUNDED):
            yield (
                f"{name!r} of a transition depends on which others are evaluated with it, by more than rounding. Do not "
                "normalise over the batch (BatchNorm in training mode)."
            )


def _check_evaluate(model: Model, memory: Any, batch: Transitions, inputs: list[Any]) -> Complaints:
    before = memory.state_dict()
    outputs = model.evaluate(batch, memory, *inputs)
    again = model.evaluate(batch, memory, *inputs)
    names = tuple(outputs) if isinstance(outputs, Mapping) else outputs
    if not isinstance(outputs, Mapping) or set(outputs) != set(model.outputs):
        yield f"it declares the outputs {model.outputs}, and returned {names}."
    for name, values in outputs.items():
        if not isinstance(values, np.ndarray) or values.shape[:1] != (batch.num_lanes,) or values.ndim > 2:
            yield (
                f"the output {name!r} must be an array ({batch.num_lanes}, d), got {getattr(values, 'shape', values)}."
            )
        if not np.isfinite(values[batch.active]).all():
            yield f"the output {name!r} is not finite in every transition."
        if not np.array_equal(values, again[name]):
            yield f"evaluating the same transitions twice gave different {name!r}."
    if not tree_equal(before, memory.state_dict()):
        yield "evaluate changed what is remembered; only fit may, and observe of a recurrent model."


def _check_report(numbers: Any) -> Complaints:
    plain = isinstance(numbers, Mapping) and all(
        isinstance(key, str) and np.isscalar(value) and np.isfinite(value) for key, value in numbers.items()
    )
    if not plain:
        yield f"fit must return finite numbers by name, got {numbers!r}."


def _check_finite(state: State) -> Complaints:
    for path, value in flatten(state).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
            yield f"after a fit {'/'.join(path)} is not finite."


def _with_idle_rows(experience: Experience) -> Experience:
    """The same experience, and a step at its end that is none."""
    longer = map_rows(lambda rows: np.concatenate([rows, rows[-1:]]), experience.steps)
    longer.active[-1] = False
    return Experience(longer, np.append(experience.clocks, experience.clocks[-1]))
