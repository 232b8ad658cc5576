"""Programs bound to an environment: where what they read is found in transitions, and the kernel for arrays of that form."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from shapegym.shaping.errors import ObservationError
from shapegym.shaping.programs.abstraction import Abstraction, Feature, abstraction_from
from shapegym.shaping.programs.evaluations.kernel import ProgramKernel
from shapegym.shaping.programs.program import CheckedProgram, read_program
from shapegym.shaping.reading import WHOLE
from shapegym.shaping.states.select import Selector, selector
from shapegym.shaping.transitions import Features, Observation, Spec, Transitions

Forms: TypeAlias = tuple[tuple[int, bool], ...]
"""Of every read: how many numbers (0: one, not in a vector), and whether they are truths."""


def selector_of(name: str) -> Selector:
    """Return what a name in a program selects: ``obs`` and ``action`` are what they are called, all else is a feature."""
    return selector(name if name.partition(".")[0] in ("obs", "action") else f"features.{name}")


def features_read(program: CheckedProgram, *sides: str) -> tuple[str, ...]:
    """Return the names of the features that a program reads on these sides, without observations."""
    names = (selector_of(name).feature for side, name in program.reads if side in sides)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def entries_read(program: CheckedProgram) -> tuple[str, ...]:
    """Return the entries of the observation that a program reads, or `WHOLE`."""
    found = (selector_of(name) for side, name in program.reads if side != "action")
    return tuple(dict.fromkeys((one.path or (WHOLE,))[0] for one in found if one.source == "obs"))


def check_readable(source: str, spec: Spec) -> None:
    """Compile a program for an environment that declares its features; of others, see when features arrive.

    Raises:
        ShapingError: if it reads what is not there, or not so.
    """
    reads = read_program(source).reads
    if spec.features is None:
        for _, name in reads:
            selector_of(name).width(spec)
        return
    seen = abstraction_from(spec.features, spec.action_space, spec.observation_space, asked=None)
    read_program(source, seen)
    found = [seen.action if side == "action" else seen.feature(name) for side, name in reads]
    forms = tuple((feature.length, feature.kind == "truth") for feature in found if feature is not None)
    _kernel(source, forms)


def evaluated(source: str, state: tuple[Observation, Features]) -> np.ndarray:
    """Return a potential's totals and parts in B states, (1 + k, B)."""
    arrays = {key: _found(select, *state) for key, select in _selected(source)}
    return _run(source, arrays, _num_lanes(state[0]))


def measured(
    source: str, transitions: Transitions, memory: np.ndarray | None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return a reward's totals and parts in B transitions, (1 + k, B); ``memory`` goes on, of rows that are active."""
    before, after = (transitions.obs, transitions.features), transitions.after
    arrays = {
        key: _found(select, *(before if key[0] == "before" else after)) for key, select in _selected(source)
    }
    return _run(source, arrays, transitions.num_lanes, memory, transitions.first, transitions.active, out)


@lru_cache(maxsize=128)
def _selected(source: str) -> tuple[tuple[tuple[str, str], Selector], ...]:
    """What a program reads, side and name, and what finds it."""
    return tuple(((side, name), selector_of(name)) for side, name in read_program(source).reads)


def _run(source: str, arrays: dict[tuple[str, str], np.ndarray], num_lanes: int, *others: Any) -> np.ndarray:
    forms = tuple(
        [(0 if array.ndim == 1 else array.shape[1], array.dtype.kind == "b") for array in arrays.values()]
    )
    return _kernel(source, forms)(arrays, num_lanes, *others)


def _found(select: Selector, obs: Observation, features: Features) -> np.ndarray:
    """What is selected, (B,) or (B, n)."""
    values = select.values(obs, features)
    if values.dtype.kind not in "biuf":
        raise ObservationError(
            f"A program computes with numbers, and {select.text!r} is none: {values[:1]!r:.80}."
        )
    return values if values.ndim <= 2 else values.reshape(len(values), -1)


def _num_lanes(obs: Observation) -> int:
    while not isinstance(obs, np.ndarray):
        obs = next(iter(obs.values() if isinstance(obs, dict) else obs))
    return len(obs)


@lru_cache(maxsize=128)
def _kernel(source: str, forms: Forms) -> ProgramKernel:
    features: dict[str, Feature] = {}
    for (_, name), (length, truth) in zip(read_program(source).reads, forms, strict=True):
        both = truth and features.get(name, Feature(name, kind="truth")).kind == "truth"
        features[name] = Feature(name, length, "truth" if both else "number")
    action = features.get("action", Feature("action"))
    return ProgramKernel(read_program(source, Abstraction("", tuple(features.values()), action)))
