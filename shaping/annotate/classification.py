"""ONI-Classification: a network that learns which captions are labelled well, and reads those that nobody labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from shapegym.shaping.annotate.judge import Judge, about
from shapegym.shaping.annotate.labellers import Oracle
from shapegym.shaping.annotate.texts import as_rows
from shapegym.shaping.limits import Count, Fraction, Positive
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example

if TYPE_CHECKING:
    from shapegym.shaping.annotate.pupil import Pupil


@dataclass(frozen=True)
class Classification(Judge):
    """``worth`` (B,): 1 where a character network finds a good label likelier than ``threshold``, else 0; 0 before the first label.

    It descends the cross-entropy of the labels by Adam: ``updates`` minibatches at a fit before which answers came, one at others.
    Zheng et al. 2024 (ONI), the classifying variant.

    Args:
        by: who labels.
        of: selector of the caption, a row of bytes.
        capacity: labels that are kept, the newest.
        patience: steps after which what was not answered may be asked again.
        threshold: probability above which a caption is worth 1.
        embedding: numbers that stand for a byte.
        channels: of the convolutions.
        hidden: units behind them.
        learning_rate: of Adam.
        batch: labels of a minibatch, drawn with replacement.
        updates: minibatches of a fit.
        epochs: passes over labels that are there from the beginning (`Recorded`).
    """

    capacity: Count = 25_000
    threshold: Fraction = 0.5
    embedding: Count = 32
    channels: Count = 64
    hidden: Count = 128
    learning_rate: Positive = 1e-4
    batch: Count = 256
    updates: Count = 32
    epochs: Count = 10

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(Oracle((("*key*", 1.0),)), embedding=4, channels=4, hidden=8, updates=2)),)

    @override
    def init(self, spec: Spec) -> Pupil:
        from shapegym.shaping.annotate.pupil import CharacterNetwork

        width = self.width(spec)
        make = {"network": lambda: CharacterNetwork(width, self.embedding, self.channels, self.hidden, 2)}
        memory = self.pupil(spec, make, learning_rate=self.learning_rate, numbers={"width": width})
        if not self.by.asks:
            self._descend(memory, self.epochs * -(-len(memory.book.answers) // self.batch))
        return memory

    @override
    def questions(self, transitions: Transitions, state: Pupil) -> list[Any]:
        texts = self.read_active(transitions)
        return [about((text,)) for text in texts if state.book.ask((text,), transitions.clock)]

    @override
    def evaluate(self, transitions: Transitions, memory: Pupil, *inputs: Any) -> dict[str, np.ndarray]:
        texts, places = self.read(*transitions.after)
        if not memory.book.answers:
            return {"worth": np.zeros(len(places))}
        said = memory.evaluate("network", as_rows(texts, memory.numbers["width"])).astype(np.float64)
        likely = 1.0 / (1.0 + np.exp(said[:, 0] - said[:, 1]))
        good = (likely > self.threshold) & np.array([bool(text) for text in texts])
        return {"worth": good[places].astype(np.float64)}

    @override
    def fit(self, experience: Experience, memory: Pupil, *inputs: Any) -> dict[str, float]:
        """Descend; log the loss of the last step, how many labels there are, and how many are waited for."""
        loss = self._descend(memory, self.updates if memory.book.fresh else 1)
        return {**memory.progress(), "loss": loss}

    def _descend(self, memory: Pupil, steps: int) -> float:
        import torch
        from torch.nn.functional import cross_entropy

        from shapegym.shaping.networks import as_tensor

        labels = memory.book.answers
        if not labels:
            return 0.0
        rows = as_tensor(as_rows([text for (text,) in labels], memory.numbers["width"]))
        good = torch.tensor([*labels.values()], dtype=torch.float32)
        wanted = torch.stack([1.0 - good, good], dim=1)
        loss = torch.zeros(())
        for _ in range(steps):
            drawn = memory.draw(len(rows), min(self.batch, len(rows)))
            loss = cross_entropy(memory["network"](rows[drawn]), wanted[drawn])
            memory.descend(loss)
        return float(loss.item())
