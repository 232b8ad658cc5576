"""What a reward remembers, in one file: counts, statistics, clocks, the books of open episodes. No pickle.

A state file is an uncompressed ``.npz``: one entry an array under its path in the state (``terms/count_bonus/keys.npy``), and
``header.json`` with everything else: format and version, the expression, the number of lanes, the scalars, and what each array is.
NumPy reads the arrays without this module. Every entry carries a CRC-32, so a file that was cut off or altered is noticed.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from shapegym.shaping.arrays import flatten, nest
from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.errors import StateFileError, said_as
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.transfer import hand_over
from shapegym.shaping.files.reward_files import Data, from_data, to_data
from shapegym.shaping.limited_archives import open_archive
from shapegym.shaping.limited_files import parse_json
from shapegym.shaping.transitions import State
from shapegym.shaping.tree import named_readers
from shapegym.shaping.types import Expression, Model

FORMAT = "shapegym shaping state"
VERSION = 3
_HEADER = "header.json"

Scalar: TypeAlias = bool | int | float | str | None
Leaf: TypeAlias = np.ndarray | Scalar | dict[str, Any]
"""What a state is made of; the only dict that is a leaf is the empty one."""


def save_state(path: str | os.PathLike[str], state: State, *, expression: Expression, num_lanes: int) -> None:
    """Write a state, whole or not at all.

    Args:
        path: the file; an old one is replaced.
        state: nested dicts of arrays (or what NumPy can turn into one without copying semantics, such as a CPU tensor), numbers,
            texts and None.
        expression: what the state belongs to.
        num_lanes: B.

    Raises:
        StateFileError: if the state holds something else, or the file cannot be written.
    """
    leaves = _leaves(state)
    arrays = {key: leaf for key, leaf in leaves.items() if isinstance(leaf, np.ndarray)}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "expression": to_data(expression),
        "num_lanes": num_lanes,
        "scalars": {key: leaf for key, leaf in leaves.items() if key not in arrays},
        "arrays": {key: [array.dtype.str, list(array.shape)] for key, array in arrays.items()},
    }
    with (
        said_as(StateFileError, OSError, f"The state file {path} cannot be written: "),
        replacing(path) as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        archive.writestr(_entry(_HEADER), json.dumps(header, indent=1))
        for key, array in arrays.items():
            with archive.open(_entry(f"{key}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def load_state(path: str | os.PathLike[str], *, expression: Expression, num_lanes: int) -> State:
    """Return the state that `save_state` wrote for an equal expression and as many lanes.

    Raises:
        StateFileError: if the file is missing, damaged, of another version or kind, or belongs to another expression or number of
            lanes; says which, and what to do.
    """
    header, arrays = _read(path)
    _require_none(path, _other_reward(header, to_data(expression), num_lanes))
    with said_as(StateFileError, Exception, f"The state file {path} is damaged: "):
        return nest({tuple(key.split("/")): leaf for key, leaf in {**header["scalars"], **arrays}.items()})


def save_engine(engine: RewardEngine, path: str | os.PathLike[str]) -> None:
    """Write everything that ``engine`` remembers. See `save_state`."""
    state = {**engine.state_dict(), "gamma": engine.spec.gamma, "learn_every": engine.learn_every}
    save_state(path, state, expression=engine.expression, num_lanes=engine.spec.num_lanes)


def load_engine(engine: RewardEngine, path: str | os.PathLike[str]) -> None:
    """Let ``engine`` continue where the one that was saved stopped. On any error it stays as it was.

    Raises:
        StateFileError: as `load_state`; or if the agents' discounts differ, or the state has not the form of this engine's.
    """
    state = load_state(path, expression=engine.expression, num_lanes=engine.spec.num_lanes)
    _require_none(path, _other_course(engine, state.pop("gamma", None), state.pop("learn_every", None)))
    engine.load_state_dict(state, f"The state file {path}")


def load_models(engine: RewardEngine, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Let the models of ``engine`` begin with what equal ones had learned when `save_engine` wrote the file.

    For another run: the reward around them, the number of lanes, the discount and the clock may differ. What belongs to open
    episodes begins anew (`Model.per_lane`), and so do all terms, a bonus's running scale among them.

    Returns:
        The names, in ``engine``, of the models that were found; the others stay as they are.

    Raises:
        StateFileError: if the file is missing or damaged, has none of the models, or one of them is of other spaces. On any error
            nothing has changed.
    """
    header, arrays = _read(path)
    with said_as(StateFileError, Exception, f"The state file {path} cannot be read: "):
        state = nest({tuple(key.split("/")): leaf for key, leaf in {**header["scalars"], **arrays}.items()})
        named = named_readers(from_data(header["expression"]))
        learned = {node: state["models"][name] for node, name in named.items() if isinstance(node, Model)}
    program, memories = engine.program, list(engine.memories)
    found = [index for index, model in enumerate(program.models) if model in learned]
    if not any(program.models[index].learned for index in found):
        theirs, ours = (
            ", ".join(str(model) for model in models if model.learned) or "none"
            for models in (learned, program.models)
        )
        raise StateFileError(
            f"The state file {path} has nothing for the models of this reward. Models that learn are there {theirs}, here {ours}. "
            "A model is found by its fields: make them equal."
        )
    for index in found:
        model = program.models[index]
        memories[index] = model.init(engine.spec)
        where = f"The state file {path} does not fit the model {program.model_names[index]!r}: "
        with said_as(StateFileError, Exception, where):
            hand_over(model, learned[model], memories[index])
    engine.memories[:] = memories
    return tuple(program.model_names[index] for index in found)


# ---------------------------------------------------------------------- nested dicts and flat keys


def _leaves(state: Mapping[str, Any]) -> dict[str, Leaf]:
    """Return the leaves by their path, keys joined by ``/``."""
    leaves: dict[str, Leaf] = {}
    for keys, value in flatten(state).items():
        for depth, key in enumerate(keys):
            if not isinstance(key, str) or not key or "/" in key:
                place = "/".join(keys[:depth]) or "the state"
                raise StateFileError(f"A state's keys are texts without '/', got {key!r} in {place!r}.")
        path = "/".join(keys)
        leaves[path] = _leaf(path, value)
    return leaves


def _leaf(path: str, value: Any) -> Leaf:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str, dict)):
        return value
    if hasattr(value, "__array__"):
        causes = TypeError, RuntimeError  # a tensor on another device, or one with a gradient
        with said_as(StateFileError, causes, f"{path!r} cannot be read as an array: ", ""):
            array = np.asarray(value)
        if not array.dtype.hasobject:
            return array
    raise StateFileError(
        f"{path!r} is {type(value).__name__}: a state holds arrays of numbers, numbers, texts and None, in nested dicts."
    )


# ---------------------------------------------------------------------- the file


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry with a fixed date: equal states make equal files."""
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return header and arrays of an undamaged file of this format and version."""
    if not Path(path).is_file():
        raise StateFileError(f"There is no state file {path}.")
    with open_archive(
        path, StateFileError, "state file", then="; restore it from a copy, or start afresh."
    ) as archive:
        names = set(archive.names)
        header = _parse(archive.read(_HEADER), path) if _HEADER in names else None
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise StateFileError(
                f"{path} is not a shaping-state file; those are written by save_engine or a wrapper's save."
            )
        if header["version"] != VERSION:
            raise StateFileError(
                f"The state file {path} has version {header['version']}, this shapegym reads version {VERSION}: load it with "
                "the shapegym that wrote it, or begin the run afresh."
            )
        if not _is_complete(header):
            raise ValueError("its header lacks what a state belongs to, or what is in it")
        if names != {_HEADER, *(f"{key}.npy" for key in header["arrays"])}:
            raise ValueError("it has entries that its header does not name")
        for key, (dtype, shape) in header["arrays"].items():
            form = archive.form(key)
            if (form.dtype.str, [*form.shape]) != (dtype, shape):
                raise ValueError(f"{key} is {form.dtype.str} {form.shape}, not {dtype} {tuple(shape)}")
        return header, {key: archive.array(key) for key in header["arrays"]}


def _is_complete(header: dict[str, Any]) -> bool:
    match header:
        case {"expression": _, "num_lanes": int(), "scalars": dict(), "arrays": dict()}:
            return True
    return False


def _parse(content: bytes, path: str | os.PathLike[str]) -> Any:
    return parse_json(content, StateFileError, f"The header of {path}", finite=False)


# ---------------------------------------------------------------------- does it fit


def _require_none(path: str | os.PathLike[str], obstacles: Iterator[str]) -> None:
    for obstacle in obstacles:
        raise StateFileError(f"The state file {path} {obstacle}")


def _other_reward(header: dict[str, Any], expression: Data, num_lanes: int) -> Iterator[str]:
    if difference := _first_difference(header["expression"], expression, "reward"):
        yield f"belongs to another expression: {difference}. Load it with the expression it has."
    if header["num_lanes"] != num_lanes:
        yield (
            f"is of {header['num_lanes']} lanes, this reward has {num_lanes}: make as many environments as when it was saved."
        )


def _other_course(engine: RewardEngine, gamma: float | None, learn_every: int | None) -> Iterator[str]:
    if None not in (gamma, engine.spec.gamma) and gamma != engine.spec.gamma:
        yield (
            f"was saved with an agent of gamma={gamma}, this one has gamma={engine.spec.gamma}: potentials would no longer "
            "telescope. Make them equal."
        )
    if any(reader.learned for reader in engine.program.readers) and learn_every != engine.learn_every:
        yield (
            f"was saved where a fit came every {learn_every} steps, here it comes every {engine.learn_every} (None: before a "
            "rollout is paid): the reward would learn another course. Make them equal (learn_every=...)."
        )


def _first_difference(saved: Data, given: Data, where: str) -> str | None:
    """Return the first place at which two plain data differ, in words."""
    if isinstance(saved, dict) and isinstance(given, dict) and saved.keys() == given.keys():
        pairs = ((f"{where}.{key}", saved[key], given[key]) for key in given)
    elif isinstance(saved, list) and isinstance(given, list) and len(saved) == len(given):
        pairs = (
            (f"{where}[{position}]", *pair) for position, pair in enumerate(zip(saved, given, strict=True))
        )
    elif saved == given and isinstance(saved, bool) == isinstance(given, bool):
        return None
    else:
        return f"at {where} it has {_short(saved)}, yours {_short(given)}"
    return next(
        (found for place, one, other in pairs if (found := _first_difference(one, other, place))), None
    )


def _short(data: Data) -> str:
    text = json.dumps(data)
    return text if len(text) <= 80 else f"{text[:77]}..."
