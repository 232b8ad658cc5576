"""What live objects remember, as a tree of plain values, and back; in one file, without pickle.

SB3's environment wrappers and buffers, and this project's, hold their state in attributes and have no common way to save it.
`pack` reads the attributes: arrays, tensors, numbers, texts, containers of nothing else, and nested SB3 and shapegym objects. All
else (spaces, environments, functions, files, networks, reports that wait to be read) is no state: it is left as constructed.

Small values (schedules, noise, stored episodes) are made anew from their fields, and classes are kept by name; no constructor and
no function of a file's choosing is called. What is restored must have the form of what stands where it goes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import BaseBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.algorithms.bilevel.episodes import EpisodeBuffer
from shapegym.agents.class_names import can_be_named, class_named, name_of
from shapegym.agents.errors import CheckpointError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.limited_archives import read_arrays
from shapegym.shaping.limited_files import parse_json
from shapegym.shaping.types import Expression

Arrays = dict[str, np.ndarray]

_TREE = "tree"
_NO_STATE = object()
_OURS = ("stable_baselines3.", "sb3_contrib.", "shapegym.")
_CONSTRUCTED = (VecEnv, BaseAlgorithm, gym.Space, torch.nn.Module, RewardEngine, Expression, type)
_VALUES = (ActionNoise, ConstantSchedule, FloatSchedule, LinearSchedule, EpisodeBuffer)
"""Classes whose objects are made anew, beside the frozen dataclasses and named tuples of SB3 and this project."""

_TRANSIENT = {"class_attributes", "metadata", "reset_infos", "_records", "_traces"}


def pack(value: Any, arrays: Arrays) -> Any:
    """Return a plain value, or the attributes of an object, as JSON data; its arrays go to ``arrays``.

    Of a buffer that is not full, only the rows in use are taken.
    """
    packed = _pack(value, arrays, None)
    return _pack_object(value, arrays, None) if packed is _NO_STATE else packed


def is_state(value: Any) -> bool:
    """Whether `pack` takes a value as a whole: no part of it is an object that only its constructor can make."""
    return _pack(value, {}, None) is not _NO_STATE


def unpack(packed: Any, arrays: Mapping[str, np.ndarray], live: Any = None) -> Any:
    """Return what `pack` saw. Objects and arrays are restored in ``live``, which stands where they were.

    Raises:
        ValueError, KeyError, TypeError: if this is nothing that `pack` makes, or has not the form of ``live``.
    """
    if not isinstance(packed, dict):
        _require_kind(live, _scalar_kind(packed) == _scalar_kind(live), packed)
        return packed
    ((kind, content),) = packed.items()
    return _UNPACK[kind](content, arrays, live)


def write_tree(path: Path, value: Any) -> None:
    """Write ``pack(value)`` to an ``.npz`` file."""
    arrays: Arrays = {}
    packed = pack(value, arrays)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{_TREE: np.array(json.dumps(packed)), **arrays})


def read_tree(path: Path, live: Any = None) -> Any:
    """Return the value in a `write_tree` file, restored into ``live`` if that is an object.

    Raises:
        CheckpointError: if it is none, or larger than it says.
        ValueError, KeyError, TypeError: if it has not the form of ``live``.
    """
    return unpack(*read_packed(path), live)


def read_packed(path: Path) -> tuple[Any, Arrays]:
    """Return what `unpack` takes of a `write_tree` file.

    Raises:
        CheckpointError: if it is none, or larger than it says.
    """
    arrays = read_arrays(path, CheckpointError)
    if _TREE not in arrays:
        raise CheckpointError(f"{path} holds no {_TREE}: it is none of the files of a checkpoint.")
    text = str(arrays.pop(_TREE)).encode()
    return parse_json(text, CheckpointError, f"The {_TREE} of {path}", finite=False), arrays


# ---------------------------------------------------------------------- packing


def _pack(value: Any, arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    if isinstance(value, Enum):
        return {"member": [name_of(type(value)), value.name]} if _is_ours(type(value)) else _NO_STATE
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        arrays[name := f"array{len(arrays)}"] = value.detach().cpu().numpy().copy()
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return _NO_STATE if value.dtype.hasobject else _pack_array(value, arrays, buffer)
    if isinstance(value, (list, tuple, deque)):
        return _pack_sequence(value, arrays, buffer)
    if isinstance(value, Mapping):
        return _pack_mapping(value, arrays, buffer)
    if isinstance(value, type):
        return {"class": name_of(value)} if can_be_named(value) else _NO_STATE
    if _is_value(type(value)):
        content = {name: _pack(entry, arrays, buffer) for name, entry in _attributes(value).items()}
        made = {"made": [name_of(type(value)), content]}
        return _NO_STATE if _NO_STATE in content.values() else made
    if _is_ours(type(value)) and not isinstance(value, _CONSTRUCTED) and not callable(value):
        return _pack_object(value, arrays, value if isinstance(value, BaseBuffer) else buffer)
    return _NO_STATE


def _pack_sequence(value: Any, arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    entries = [_pack(entry, arrays, buffer) for entry in value]
    if _NO_STATE in entries:
        return _NO_STATE
    if isinstance(value, deque):
        return {"deque": [value.maxlen, entries]}
    if _is_named_tuple(type(value)):
        return {"named": [name_of(type(value)), entries]}
    return {"list" if isinstance(value, list) else "tuple": entries}


def _pack_mapping(value: Mapping[Any, Any], arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    content = {key: _pack(entry, arrays, buffer) for key, entry in value.items()}
    if _NO_STATE in content.values():
        return _NO_STATE
    if all(isinstance(key, str) for key in content):
        return {"mapping": content}
    return (
        {"items": [list(item) for item in content.items()]}
        if all(isinstance(key, int) for key in content)
        else _NO_STATE
    )


def _pack_object(value: Any, arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    content = {
        name: _pack(entry, arrays, buffer)
        for name, entry in _attributes(value).items()
        if name not in _TRANSIENT
    }
    return {"object": {name: packed for name, packed in content.items() if packed is not _NO_STATE}}


def _attributes(value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return dict(vars(value))


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith(_OURS)


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields") and _is_ours(cls)


def _is_value(cls: type) -> bool:
    frozen = is_dataclass(cls) and cls.__dataclass_params__.frozen and not issubclass(cls, Expression)  # type: ignore[attr-defined]
    return _is_ours(cls) and (frozen or issubclass(cls, _VALUES))


def _pack_array(value: np.ndarray, arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    name = f"array{len(arrays)}"
    if buffer is not None and not buffer.full:
        size, lanes = buffer.buffer_size, buffer.n_envs
        used = min(buffer.pos + 1, size)  # optimize_memory_usage writes one row ahead
        for length, kept in ((size, used), (size * lanes, used * lanes)):
            per_lane = length == size and value.shape[1:2] != (lanes,)
            if len(value.shape) and len(value) == length and not per_lane:
                arrays[name] = value[:kept].copy()
                return {"rows": [name, length]}
    arrays[name] = value.copy()
    return {"array": name}


# ---------------------------------------------------------------------- unpacking


def _scalar_kind(value: Any) -> Any:
    """What kinds of plain values are told apart by: a count may have become a fraction, but not a text."""
    number = isinstance(value, (int, float)) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return "number" if number else type(value)


def _require_kind(live: Any, fits: bool, packed: Any) -> None:
    """Refuse what is of another kind than what it takes the place of; None may have become anything, and anything None."""
    if not (fits or live is None or packed is None):
        said = repr(packed) if len(repr(packed)) < 80 else "something"
        raise ValueError(f"it has {said} where {type(live).__name__} belongs")


def _unpack_array(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    saved = arrays[content]
    if isinstance(live, np.ndarray) and live.size:  # an empty one waits for its first values
        _require_form(saved, saved.shape, live)
        if live.flags.writeable:  # in place: other objects may hold the array too
            live[...] = saved
            return live
    _require_kind(live, isinstance(live, np.ndarray), content)
    return saved.copy()


def _unpack_tensor(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, torch.Tensor), content)
    saved = torch.from_numpy(arrays[content].copy())
    return saved if live is None else saved.to(live.device)


def _unpack_rows(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> np.ndarray:
    saved, length = arrays[content[0]], content[1]
    shape = (length, *saved.shape[1:])
    _require_kind(live, isinstance(live, np.ndarray), content)
    rows: np.ndarray = np.zeros(shape, saved.dtype) if live is None else live
    _require_form(saved, shape, rows)
    rows[: len(saved)] = saved
    return rows


def _require_form(saved: np.ndarray, shape: tuple[int, ...], live: np.ndarray) -> None:
    if saved.dtype != live.dtype or shape != live.shape:
        raise ValueError(
            f"it has {saved.dtype} of shape {shape} where {live.dtype} of shape {live.shape} belongs"
        )


def _unpack_mapping(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, Mapping), content)
    old = live if isinstance(live, dict) else {}
    return {key: unpack(entry, arrays, old.get(key)) for key, entry in content.items()}


def _unpack_items(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, Mapping), content)
    return {int(key): unpack(entry, arrays) for key, entry in content}


def _unpack_list(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, list), content)
    return [unpack(entry, arrays) for entry in content]


def _unpack_tuple(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, tuple), content)
    return tuple(unpack(entry, arrays) for entry in content)


def _unpack_deque(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, deque), content)
    maxlen, entries = content
    return deque((unpack(entry, arrays) for entry in entries), maxlen)


def _unpack_named(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    cls = class_named(content[0], (tuple,))
    entries = [unpack(entry, arrays) for entry in content[1]]
    if not _is_named_tuple(cls) or len(entries) != len(cls._fields):  # type: ignore[attr-defined]
        raise ValueError(f"it has a {content[0]} that is none")
    _require_kind(live, isinstance(live, cls), content)
    return tuple.__new__(cls, entries)


def _unpack_member(content: Any, _: Mapping[str, np.ndarray], live: Any) -> Any:
    found = cast("type[Enum]", class_named(content[0], (Enum,)))[content[1]]
    _require_kind(live, isinstance(live, type(found)), content)
    return found


def _unpack_class(content: Any, _: Mapping[str, np.ndarray], live: Any) -> Any:
    _require_kind(live, isinstance(live, type), content)
    return class_named(content)


def _unpack_made(content: Any, arrays: Mapping[str, np.ndarray], _: Any) -> Any:
    name, attributes = content
    cls = class_named(name, (object,))
    known = {item.name for item in fields(cls)} if is_dataclass(cls) else attributes.keys()
    if not _is_value(cls) or attributes.keys() != known:
        raise ValueError(f"it has a {name} that is none")
    made: Any = object.__new__(cls)
    for key, entry in attributes.items():
        object.__setattr__(made, key, unpack(entry, arrays))
    return made


def _unpack_object(content: Any, arrays: Mapping[str, np.ndarray], live: Any) -> Any:
    known = _attributes(live)
    for name, entry in content.items():
        if name not in known and hasattr(type(live), name):
            raise ValueError(f"it sets {name!r} of a {type(live).__name__}, which is no state")
        setattr(live, name, unpack(entry, arrays, known.get(name)))
    return live


_UNPACK = {
    "array": _unpack_array,
    "tensor": _unpack_tensor,
    "rows": _unpack_rows,
    "mapping": _unpack_mapping,
    "items": _unpack_items,
    "list": _unpack_list,
    "tuple": _unpack_tuple,
    "deque": _unpack_deque,
    "named": _unpack_named,
    "member": _unpack_member,
    "class": _unpack_class,
    "made": _unpack_made,
    "object": _unpack_object,
}
