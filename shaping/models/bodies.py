"""Networks that turn what selectors read of a state into a code: for vectors, for pictures, for grids of symbols."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from shapegym.shaping.errors import ObservationError
from shapegym.shaping.kernels.symbols import gather_sums, scatter_sums
from shapegym.shaping.networks import perceptron
from shapegym.shaping.states.select import selector, width_for_network
from shapegym.shaping.transitions import Spec

Body: TypeAlias = Literal["auto", "mlp", "cnn", "grid"]
"""A kind of network. "mlp" reads numbers as they are; "cnn" pictures, whose bytes it brings to [0, 1]; "grid" cells of three
symbols (object, colour, state) as MiniGrid has them, flat or as an image, with an embedding of each; "auto" picks by the space."""

_LEAST_PIXELS = 36
"""Of each side: smaller pictures do not survive the three convolutions of Mnih et al. 2015."""
_SYMBOLS = 16
"""Values that a symbol has at most; larger ones count as the last."""


def body(kind: Body, reader: str, keys: tuple[str, ...], spec: Spec, hidden: int, width: int) -> nn.Module:
    """Return a network from rows of what ``keys`` select, (B, n), to codes, (B, ``width``).

    Args:
        kind: see `Body`.
        reader: whose network it is, for messages.
        keys: selectors.
        spec: where they are read.
        hidden: units of its hidden layers.
        width: of the code.

    Raises:
        ObservationError: if such a network cannot read what is selected.
    """
    numbers = width_for_network(reader, keys, spec)
    kind, space = resolved(kind, keys, spec), _space(keys, spec)
    if kind == "mlp":
        return perceptron(numbers, hidden, width)
    if kind == "grid":
        if numbers % 3 or space is None or np.dtype(space.dtype).kind not in "iu":
            raise ObservationError(
                f"{reader}: a network for grids reads whole numbers, three a cell, and {', '.join(keys)} selects {numbers} of "
                f"{space}. Take network='mlp', or select the grid."
            )
        return nn.Sequential(
            Symbols(numbers, hidden), nn.LeakyReLU(), perceptron(hidden, hidden, width, layers=1)
        )
    if not _is_picture(space):
        raise ObservationError(
            f"{reader}: a network for pictures reads one Box of at least {_LEAST_PIXELS} x {_LEAST_PIXELS} pixels, and "
            f"{', '.join(keys)} selects {space}. Take network='mlp', or 'grid' for MiniGrid's symbols."
        )
    assert space is not None  # noqa: S101  # said by _is_picture
    return _convolutions(space, hidden, width)


def resolved(kind: Body, keys: tuple[str, ...], spec: Spec) -> Body:
    """Return which kind "auto" is; other kinds as they are."""
    if kind != "auto":
        return kind
    space = _space(keys, spec)
    if _is_picture(space):
        return "cnn"
    shape = () if space is None or space.shape is None else space.shape
    cells = len(shape) == 3 and shape[2] == 3 and space is not None and np.dtype(space.dtype).kind in "iu"
    return "grid" if cells else "mlp"


class Symbols(nn.Module):
    """The sum of an embedding for each symbol of each cell: a linear layer on one-hot symbols, without the zeros.

    Args:
        numbers: n, symbols in a row; 3 a cell.
        width: d, of an embedding.
    """

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(numbers * _SYMBOLS, width)
        nn.init.normal_(self.embeddings.weight, std=math.sqrt(2.0 / numbers))
        self._shape = (numbers, _SYMBOLS, width)

    def forward(self, rows: Tensor) -> Tensor:
        """Return (B, d) of (B, n)."""
        table = self.embeddings.weight.view(self._shape)
        if table.device.type == "cpu":
            summed: Tensor = _Gather.apply(table, rows.detach())  # type: ignore[no-untyped-call]
            return summed
        places = rows.long().clamp(0, _SYMBOLS - 1)
        offsets = torch.arange(self._shape[0], device=rows.device) * _SYMBOLS
        return nn.functional.embedding_bag(places + offsets, self.embeddings.weight, mode="sum")


class _Gather(torch.autograd.Function):
    """`gather_sums`, whose gradient is `scatter_sums` and the other way round. Torch's own take several times as long."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        summed = torch.empty(len(rows), table.shape[2])
        gather_sums(_array(rows), _array(table), summed.numpy())
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return _Scatter.apply(gradients[0], rows, ctx.shape), None  # type: ignore[no-untyped-call]


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, rows: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(rows)
        table = torch.zeros(shape)
        scatter_sums(_array(rows), _array(sums), table.numpy())
        return table

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        return _Gather.apply(gradients[0], rows), None, None  # type: ignore[no-untyped-call]


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)


def _convolutions(space: gym.Space, hidden: int, width: int) -> nn.Module:
    """Three convolutions (Mnih et al. 2015) of an image whose channels stand first or last."""
    assert space.shape is not None  # noqa: S101  # a picture
    last = space.shape[2] <= space.shape[0]
    channels, sides = (space.shape[2], space.shape[:2]) if last else (space.shape[0], space.shape[1:])
    for kernel, stride in ((8, 4), (4, 2), (3, 1)):
        sides = tuple((side - kernel) // stride + 1 for side in sides)
    layers: list[nn.Module] = [nn.Unflatten(1, space.shape)]
    if last:
        layers.append(ChannelsFirst())
    if np.dtype(space.dtype) == np.uint8:
        layers.append(FromBytes())
    for inputs, outputs, kernel, stride in ((channels, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride), nn.LeakyReLU()]
    return nn.Sequential(*layers, nn.Flatten(), perceptron(64 * math.prod(sides), hidden, width, layers=1))


class ChannelsFirst(nn.Module):
    """(B, height, width, channels) to (B, channels, height, width)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return a view."""
        return images.permute(0, 3, 1, 2)


class FromBytes(nn.Module):
    """Bytes to [0, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        """Return a 255th."""
        return images / 255.0


def _space(keys: tuple[str, ...], spec: Spec) -> gym.Space | None:
    """What a single selector reads whole; None for several, and for columns of one."""
    read = selector(keys[0])
    return read.space(spec) if len(keys) == 1 and read.columns is None else None


def _is_picture(space: gym.Space | None) -> bool:
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 3:
        return False
    sides = space.shape[:2] if space.shape[2] <= space.shape[0] else space.shape[1:]
    return min(sides) >= _LEAST_PIXELS
