"""What live objects remember, as a tree of plain values, and back; in one file, without pickle.

SB3's environment wrappers and buffers, and this project's, hold their state in attributes and have no common way to save it.
`pack` reads the attributes: arrays, tensors, numbers, texts, containers of nothing else, and nested SB3 and shapegym objects. All
else (spaces, environments, functions, files, networks, reports that wait to be read) is no state: it is left as constructed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import BaseBuffer
from stable_baselines3.common.vec_env import VecEnv

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.types import Expression

Arrays = dict[str, np.ndarray]

_TREE = "tree"
_NO_STATE = object()
_OURS = ("stable_baselines3.", "sb3_contrib.", "shapegym.")
_CONSTRUCTED = (VecEnv, BaseAlgorithm, gym.Space, torch.nn.Module, RewardEngine, Expression, type)
_TRANSIENT = {"class_attributes", "metadata", "reset_infos"}


def pack(value: Any, arrays: Arrays) -> Any:
    """Return a plain value, or the attributes of an object, as JSON data; its arrays go to ``arrays``.

    Of a buffer that is not full, only the rows in use are taken.
    """
    packed = _pack(value, arrays, None)
    return _pack_object(value, arrays, None) if packed is _NO_STATE else packed


def unpack(packed: Any, arrays: Mapping[str, np.ndarray], live: Any = None) -> Any:
    """Return what `pack` saw. Objects, and arrays that fit, are restored in ``live``, which stands where they were."""
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "array":
        return _unpack_array(arrays[content], live)
    if kind == "rows":
        return _unpack_rows(arrays[content[0]], content[1], live)
    if kind == "mapping":
        old = live if isinstance(live, dict) else {}
        return {key: unpack(entry, arrays, old.get(key)) for key, entry in content.items()}
    if kind in ("list", "tuple"):
        entries = [unpack(entry, arrays) for entry in content]
        return entries if kind == "list" else tuple(entries)
    for name, entry in content.items():
        setattr(live, name, unpack(entry, arrays, getattr(live, name, None)))
    return live


def write_tree(path: Path, value: Any) -> None:
    """Write ``pack(value)`` to an ``.npz`` file."""
    arrays: Arrays = {}
    packed = pack(value, arrays)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{_TREE: np.array(json.dumps(packed)), **arrays})


def read_tree(path: Path, live: Any = None) -> Any:
    """Return the value in a `write_tree` file, restored into ``live`` if that is an object.

    Raises:
        ValueError, KeyError, OSError: if it is none.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return unpack(json.loads(str(arrays.pop(_TREE))), arrays, live)


def _pack(value: Any, arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return _pack(value.detach().cpu().numpy(), arrays, None)
    if isinstance(value, np.ndarray):
        return _NO_STATE if value.dtype.hasobject else _pack_array(value, arrays, buffer)
    if isinstance(value, (list, tuple)):
        entries = [_pack(entry, arrays, buffer) for entry in value]
        kind = "list" if isinstance(value, list) else "tuple"
        return _NO_STATE if _NO_STATE in entries else {kind: entries}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return _NO_STATE
        content = {key: _pack(entry, arrays, buffer) for key, entry in value.items()}
        return _NO_STATE if _NO_STATE in content.values() else {"mapping": content}
    if (
        type(value).__module__.startswith(_OURS)
        and not isinstance(value, _CONSTRUCTED)
        and not callable(value)
    ):
        return _pack_object(value, arrays, value if isinstance(value, BaseBuffer) else buffer)
    return _NO_STATE


def _pack_object(value: Any, arrays: Arrays, buffer: BaseBuffer | None) -> Any:
    names = [item.name for item in fields(value)] if is_dataclass(value) else list(vars(value))
    content = {name: _pack(getattr(value, name), arrays, buffer) for name in names if name not in _TRANSIENT}
    return {"object": {name: packed for name, packed in content.items() if packed is not _NO_STATE}}


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


def _unpack_array(saved: np.ndarray, live: Any) -> Any:
    if isinstance(live, torch.Tensor):
        return torch.from_numpy(saved.copy()).to(live.device)
    if _fits(live, saved.dtype, saved.shape):  # in place: other objects may hold the array too
        live[...] = saved
        return live
    return saved.copy()


def _unpack_rows(saved: np.ndarray, length: int, live: Any) -> np.ndarray:
    shape = (length, *saved.shape[1:])
    rows: np.ndarray = live if _fits(live, saved.dtype, shape) else np.zeros(shape, saved.dtype)
    rows[: len(saved)] = saved
    return rows


def _fits(live: Any, dtype: np.dtype, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(live, np.ndarray) and live.dtype == dtype and live.shape == shape and live.flags.writeable
    )
