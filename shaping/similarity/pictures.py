"""Texts and pictures by two small networks that were trained together, kept in a file of numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from typing_extensions import override

from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.errors import EncoderError, said_as
from shapegym.shaping.limited_archives import open_archive
from shapegym.shaping.limited_files import opened, parse_json
from shapegym.shaping.similarity.encoder import Encoder, unit

if TYPE_CHECKING:
    from shapegym.shaping.similarity.towers import Plan, Towers

_HOW = "`shapegym encoder` trains one"


@dataclass(frozen=True)
class PictureEncoder(Encoder):
    """Codes of pictures and of sentences, by networks that were trained on pictures of a task and what is true of them.

    It knows the words and the size of pictures that it was trained on, and nothing beyond. Source: Radford et al. 2021 (CLIP),
    whose place it takes where pictures are those of a task.

    Args:
        weights: a file that `save_towers` wrote, or the command ``shapegym encoder``.
        digest: beginning of the hexadecimal SHA-256 of the file, so that no other is taken for it; "" takes any.
    """

    weights: str
    digest: str = ""
    sees: ClassVar[bool] = True

    @override
    def fingerprint(self) -> str:
        return self._loaded.digest

    @override
    def text(self, text: str) -> np.ndarray:
        return self._loaded.read(text)

    @override
    def picture(self, picture: np.ndarray) -> np.ndarray:
        return self._loaded.see(picture)

    @property
    def _loaded(self) -> _Loaded:
        with said_as(
            EncoderError,
            (OSError, ValueError),
            f"There are no weights {self.weights!r} of a PictureEncoder (",
            f"). {_HOW}.",
        ):
            facts = Path(self.weights).stat()
        loaded = _load(self.weights, facts.st_mtime_ns, facts.st_size)
        if not loaded.digest.startswith(self.digest.lower()):
            raise EncoderError(
                f"The weights {self.weights!r} are others than the reward was written with: their digest is "
                f"{loaded.digest[:16]}..., and it names {self.digest}. Take the file back, or leave the digest out."
            )
        return loaded


class _Loaded(NamedTuple):
    digest: str
    read: Callable[[str], np.ndarray]
    see: Callable[[np.ndarray], np.ndarray]


def save_towers(path: str | os.PathLike[str], plan: Plan, towers: Towers) -> str:
    """Write towers, whole or not at all, without pickle, and return the digest of the file.

    Raises:
        EncoderError: if it cannot be written.
    """
    numbers = {name: value.numpy(force=True) for name, value in towers.state_dict().items()}
    with (
        said_as(EncoderError, OSError, f"The weights {path} cannot be written: "),
        replacing(path) as file,
    ):
        np.savez(file, plan=np.array(json.dumps(asdict(plan))), **numbers)
    return _digest(os.fspath(path))


@lru_cache(maxsize=8)
def _load(path: str, changed: int, size: int) -> _Loaded:
    del changed, size  # part of the key only
    import torch

    from shapegym.shaping.similarity.towers import Towers, bag_of

    with open_archive(path, EncoderError, "weights", then=f"; {_HOW}.") as archive:
        arrays: dict[str, Any] = {
            name: archive.array(name) for name in (entry.removesuffix(".npy") for entry in archive.names)
        }
        plan = _plan(
            parse_json(str(arrays.pop("plan")).encode(), EncoderError, f"What {path} says of itself")
        )
        with torch.device("meta"):  # takes no memory, whatever the plan says
            towers = Towers(plan).eval()
        numbers = {name: torch.from_numpy(np.array(array, np.float32)) for name, array in arrays.items()}
        towers.load_state_dict(numbers, assign=True)
        if not all(bool(value.isfinite().all()) for value in towers.state_dict().values()):
            raise ValueError("not all of its numbers are finite")
    places = {word: place for place, word in enumerate(plan.vocabulary)}

    def read(text: str) -> np.ndarray:
        bag = bag_of(text, places)
        if not bag.any():
            shown = ", ".join(plan.vocabulary[:40])
            raise EncoderError(f"PictureEncoder({path!r}) knows no word of {text[:80]!r}. It knows: {shown}.")
        with torch.no_grad():
            return unit(towers.read(torch.from_numpy(bag)[None])[0].numpy())

    def see(picture: np.ndarray) -> np.ndarray:
        if picture.shape != plan.shape:
            raise EncoderError(
                f"PictureEncoder({path!r}) was trained on pictures of {plan.shape}, and gets one of {picture.shape}: rows, "
                "columns, channels."
            )
        with torch.no_grad():
            return unit(towers.see(torch.from_numpy(np.ascontiguousarray(picture))[None])[0].numpy())

    return _Loaded(_digest(path), read, see)


def _plan(data: Any) -> Plan:
    from shapegym.shaping.similarity.towers import Plan

    shape, vocabulary = tuple(map(int, data["shape"])), tuple(map(str, data["vocabulary"]))
    plan = Plan(shape, vocabulary, int(data["channels"]), int(data["width"]))  # type: ignore[arg-type]
    if len(shape) != 3 or not vocabulary or min(*shape, plan.channels, plan.width) < 1 or max(shape) > 4096:
        raise ValueError("its plan is none")
    return plan


def _digest(path: str) -> str:
    with opened(path, EncoderError, "weights") as file:
        return sha256(file.read()).hexdigest()
