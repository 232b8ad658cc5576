"""What goes along with the lanes of a grid world: it remembers something of them, watches every step, and reports features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]


class Companion(ABC):
    """Its memory is part of the lanes' state, so snapshots hold it; it changes nothing else of the state.

    Attributes:
        draws: Uniform numbers in [0, 1) that `begin` needs for a lane.
        mark: What a task's fingerprint says of it.
    """

    draws: int = 0
    mark: str

    @abstractmethod
    def allocate(self, lanes: int) -> dict[str, NDArray[Any]]:
        """Arrays (lanes, ...) by names that no other part of the state has."""

    @abstractmethod
    def begin(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """New episodes have begun in the lanes in `mask`; `noise` (B, draws) is theirs."""

    @abstractmethod
    def watch(self, state: State) -> None:
        """A step comes."""

    @abstractmethod
    def follow(self, state: State, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> None:
        """The lanes in `active` have made a step."""

    @abstractmethod
    def write(self, state: State, mask: NDArray[np.bool_], features: Mapping[str, NDArray[Any]]) -> None:
        """Write its features of the lanes in `mask`."""
