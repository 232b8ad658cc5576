"""Actions as networks read them, and how well a network says which was taken."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributions, nn
from torch.nn import functional

from shapegym.shaping.models.actions import action_columns, choices_of

_LOG_DEVIATIONS = (-5.0, 2.0)
"""Of actions with their bounds at -1 and 1; narrower ones would make a single action infinitely likely."""


class ActionCode(nn.Module):
    """How networks read the actions of a space: indicators of choices, bits, numbers with their bounds at -1 and 1.

    It has no parameters; it is a module so that it lies beside those that read and say actions.

    Args:
        space: of one lane's action.
        reader: who reads it, as messages name it.

    Attributes:
        width: of a row.
        are_numbers: whether actions are numbers, not choices or bits.

    Raises:
        ObservationError: if an action is neither an array of numbers nor of choices.
    """

    def __init__(self, space: gym.Space, reader: str) -> None:
        super().__init__()
        self.choices, self.origin = choices_of(space, reader)
        self.is_bits = isinstance(space, gym.spaces.MultiBinary)
        self.are_numbers = isinstance(space, gym.spaces.Box)
        self.center, self.reach = _bounds(space)
        self.width = int(self.choices.sum()) if len(self.choices) else math.prod(space.shape or ())

    def columns(self, action: np.ndarray) -> np.ndarray:
        """Return actions (B, ...) as rows, (B, `width`) float32."""
        rows = action_columns(action, self.choices, self.origin)
        if not len(self.choices):
            rows = (rows - self.center) / self.reach
        return rows.astype(np.float32)

    def log_likelihood(self, said: Tensor, columns: Tensor) -> Tensor:
        """Return log p(a) of the actions in ``columns`` (B, `width`) by what a network said of them (B, `width`), (B,).

        Of choices and bits its numbers are logits; of numbers the mean of a Gaussian of unit variance, up to a constant.
        """
        if len(self.choices):
            entries = (torch.split(rows, self.choices.tolist(), 1) for rows in (said, columns))
            told = [(functional.log_softmax(a, 1) * b).sum(1) for a, b in zip(*entries, strict=True)]
            return torch.stack(told).sum(0)
        if self.is_bits:
            return -functional.binary_cross_entropy_with_logits(said, columns, reduction="none").sum(1)
        return -0.5 * (said - columns).square().sum(1)

    def density(self, said: Tensor, columns: Tensor) -> Tensor:
        """Return log p(a) (B,) as policies have it: of numbers the density of a Gaussian, at their own scale.

        Args:
            said: as for `log_likelihood`; of numbers the means, and then the logarithms of the deviations, (B, 2 `width`).
            columns: the actions, (B, `width`).
        """
        if not self.are_numbers:
            return self.log_likelihood(said, columns)
        mean, log_deviation = said.chunk(2, 1)
        log_deviation = log_deviation.clamp(*_LOG_DEVIATIONS)
        density = distributions.Normal(mean, log_deviation.exp()).log_prob(columns)  # type: ignore[no-untyped-call]
        told: Tensor = density.sum(1) - float(np.log(self.reach * np.ones(self.width)).sum())
        return told


def _bounds(space: gym.Space) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middle and half the width of each number of a Box; 0 and 1 where it has no bounds, and for other spaces."""
    if not isinstance(space, gym.spaces.Box):
        return np.zeros(1), np.ones(1)
    low, high = (bound.reshape(-1).astype(np.float64) for bound in (space.low, space.high))
    with np.errstate(invalid="ignore"):
        middle, reach = (low + high) / 2.0, (high - low) / 2.0
    bounded = np.isfinite(middle) & np.isfinite(reach) & (reach > 0)
    return np.where(bounded, middle, 0.0), np.where(bounded, reach, 1.0)
