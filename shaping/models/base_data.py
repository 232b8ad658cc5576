"""Recorded transitions of a base policy: one ``.npz`` without pickle, checked as a whole before anything is learned from it.

Entries: ``obs`` (or ``obs.<key>`` of a Dict), ``action`` and ``features.<name>`` of s_t, a row a transition, and ``spaces``, the
JSON of what the environment said of itself. `shapegym.agents.record_base` writes such files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.errors import BaseDataError, said_as
from shapegym.shaping.limited_archives import open_archive
from shapegym.shaping.limited_files import opened, parse_json
from shapegym.shaping.transitions import Features, Observation


@dataclass(frozen=True)
class BaseData:
    """What a base policy met.

    Attributes:
        obs: s_t, (M, ...) or a dict of such.
        action: a_t, (M, ...).
        features: of s_t, name -> (M, ...).
        spaces: texts of the observation space and the action space.
        digest: of the file, hexadecimal SHA-256.
    """

    obs: Observation
    action: np.ndarray
    features: Features
    spaces: tuple[str, str]
    digest: str

    def __len__(self) -> int:
        return len(self.action)


def texts_of(observation_space: gym.Space, action_space: gym.Space) -> tuple[str, str]:
    """Return what a file of base data says about the spaces of one lane."""
    return str(observation_space), str(action_space)


def save_base(
    path: str | os.PathLike[str],
    obs: Observation,
    action: np.ndarray,
    features: Features,
    spaces: tuple[str, str],
) -> None:
    """Write base data, whole or not at all; arguments as the attributes of `BaseData`.

    Raises:
        BaseDataError: if the file cannot be written.
    """
    entries = {f"obs.{key}": rows for key, rows in obs.items()} if isinstance(obs, Mapping) else {"obs": obs}
    entries |= {f"features.{name}": rows for name, rows in features.items()}
    with (
        said_as(BaseDataError, OSError, f"The base data {path} cannot be written: "),
        replacing(path) as file,
    ):
        np.savez(file, spaces=np.array(json.dumps(spaces)), action=action, **entries)


def load_base(path: str | os.PathLike[str]) -> BaseData:
    """Return the base data of a file; the same object as long as the file does not change.

    Raises:
        BaseDataError: if the file is missing or damaged, or its entries do not fit together.
    """
    with said_as(
        BaseDataError,
        OSError,
        f"There is no base data {path} (",
        "). Record it: shapegym.agents.record_base(policy, env_id, path).",
    ):
        facts = Path(path).stat()
    return _load(os.fspath(path), facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _load(path: str, changed: int, size: int) -> BaseData:  # the times are part of the key only
    del changed, size
    with open_archive(path, BaseDataError, "base data", then="; record it again.") as archive:
        entries: dict[str, Any] = {
            name: archive.array(name) for name in (entry.removesuffix(".npy") for entry in archive.names)
        }
        spaces = parse_json(
            str(entries.pop("spaces")).encode(), BaseDataError, f"In {path}, what 'spaces' holds"
        )
        if not isinstance(spaces, list) or [*map(type, spaces)] != [str, str]:
            raise ValueError("its entry 'spaces' holds no two texts")
        action = entries.pop("action")
        features = {
            key.removeprefix("features."): entries.pop(key) for key in [*entries] if key[:9] == "features."
        }
        obs = (
            entries.pop("obs")
            if "obs" in entries
            else {key.removeprefix("obs."): entries.pop(key) for key in [*entries]}
        )
        columns = [action, *features.values(), *(obs.values() if isinstance(obs, dict) else [obs])]
        if entries or any(rows.ndim < 1 or len(rows) != len(action) for rows in columns):
            raise ValueError("its entries have different numbers of rows, or are none of base data")
    return BaseData(obs, action, features, (spaces[0], spaces[1]), _digest(path))


def _digest(path: str) -> str:
    with opened(path, BaseDataError, "base data") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
