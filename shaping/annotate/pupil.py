"""What a model over captions remembers: its networks and its book."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from shapegym.shaping.annotate.book import Book
from shapegym.shaping.networks import Networks
from shapegym.shaping.transitions import State

SHORTEST = 123
"""Characters that survive three times pooling and the convolutions between; shorter captions are filled up."""


class Pupil(Networks):
    """Networks with a book of what was asked and answered.

    Attributes:
        book: of the questions.
        seen: of captions from which questions are made; empty where every caption is one.
    """

    def __init__(self, modules: Any, model: Any, spec: Any, book: Book, **options: Any) -> None:
        super().__init__(modules, model, spec, **options)
        self.book = book
        self.seen = Book(1, 1000, 0)

    def draw(self, count: int, size: int) -> Tensor:
        """Return ``size`` random places among ``count``, with replacement."""
        return torch.randint(count, (size,), generator=self.generator)

    def progress(self) -> dict[str, float]:
        """Return what a fit logs, and begin to count fresh answers anew."""
        self.book.fresh = 0
        return {
            "answers": float(len(self.book.answers)),
            "pending": float(len(self.book.pending)),
            "refused": float(len(self.book.refused)),
        }

    def state_dict(self) -> State:
        """Return all of it as nested plain values."""
        return {**super().state_dict(), "book": self.book.state_dict(), "seen": self.seen.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`.

        Raises:
            RuntimeError, ValueError, KeyError: if it is of another form.
        """
        super().load_state_dict(state)
        self.book.load_state_dict(state["book"])
        self.seen.load_state_dict(state["seen"])


class CharacterNetwork(nn.Module):
    """Reads a caption byte by byte: six convolutions, as Zheng et al. 2024 (ONI) have them after Zhang, Zhao & LeCun 2015.

    Args:
        width: bytes of a caption.
        embedding: numbers that stand for a byte; 32 as published.
        channels: of each convolution; 64 as published.
        hidden: units of the layer behind them; 128 as published.
        outputs: numbers that it says of a caption.
    """

    def __init__(self, width: int, embedding: int, channels: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.missing = max(SHORTEST - width, 0)
        self.embedding = nn.Embedding(256, embedding)
        layers: list[nn.Module] = []
        before, left = embedding, width + self.missing
        for kernel, pool in ((7, 3), (7, 3), (3, 1), (3, 1), (3, 1), (3, 3)):
            layers += [nn.Conv1d(before, channels, kernel), nn.ReLU()]
            if pool > 1:
                layers.append(nn.MaxPool1d(pool))
            before, left = channels, (left - kernel + 1) // pool
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(channels * left, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Return what it says of captions (B, L), (B, outputs)."""
        read = self.embedding(functional.pad(rows.long(), (0, self.missing)))
        said: Tensor = self.head(self.convolutions(read.transpose(1, 2)))
        return said
