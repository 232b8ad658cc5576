"""ONI-Ranking, and Motif: a network that learns which of two captions is the better one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from annotated_types import Ge
from typing_extensions import override

from shapegym.shaping.annotate.judge import Judge, about
from shapegym.shaping.annotate.labellers import Kind, Oracle
from shapegym.shaping.annotate.texts import as_rows
from shapegym.shaping.limits import Count, Positive
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example

if TYPE_CHECKING:
    from shapegym.shaping.annotate.pupil import Pupil

_LONGEST_GRADIENT = 10.0
_SMALLEST = 1e-8
"""Variance of what it says below which all captions are worth the same."""


@dataclass(frozen=True)
class Ranking(Judge):
    """``worth`` (B,): z 1[z > floor], with z what a character network says of the caption, brought to mean 0 and variance 1.

    The network says r of a caption such that softmax(r_1, r_2) is how likely the first of two is the better one (Bradley & Terry
    1952); a tie is 1/2. Pairs are drawn from the captions that were seen, each as likely as any other, and never the same two
    again: drawn by how often they occur, the captions that matter would hardly be compared. Mean and variance are those of all that
    was judged so far, a rollout's own included; or of the captions that were compared, where all answers are there from the
    beginning (`Recorded`). Before the first answer everything is worth 0.

    Klissarov et al. 2024, "Motif"; Zheng et al. 2024 (ONI), whose released code normalises z and then pays r: what they describe is
    what is done here.

    Args:
        by: who compares.
        of: selector of the caption, a row of bytes.
        capacity: answers that are kept, the newest.
        patience: steps after which what was not answered may be asked again.
        floor: the least z that is paid.
        waiting: questions that are under way at most.
        embedding: numbers that stand for a byte.
        channels: of the convolutions.
        hidden: units behind them.
        learning_rate: of Adam.
        batch: pairs of a minibatch, drawn with replacement.
        updates: minibatches of a fit before which answers came; one at others.
        epochs: passes over answers that are there from the beginning (`Recorded`).
    """

    capacity: Count = 25_000
    floor: float = -0.5
    waiting: Count = 200
    embedding: Count = 32
    channels: Count = 64
    hidden: Count = 128
    learning_rate: Positive = 1e-4
    batch: Count = 256
    updates: Count = 32
    epochs: Count = 10

    kind: ClassVar[Kind] = "compare"
    remembers: ClassVar[Remembers] = {"numbers/count": COUNTS, "numbers/spread": (Ge(0),)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(Oracle((("*key*", 1.0),)), embedding=4, channels=4, hidden=8, updates=2)),)

    @override
    def init(self, spec: Spec) -> Pupil:
        from shapegym.shaping.annotate.pupil import CharacterNetwork

        width = self.width(spec)
        make = {"network": lambda: CharacterNetwork(width, self.embedding, self.channels, self.hidden, 1)}
        numbers = {"width": width, "count": 0, "mean": 0.0, "spread": 0.0}
        memory = self.pupil(spec, make, learning_rate=self.learning_rate, numbers=numbers)
        if not self.by.asks:
            self._descend(memory, self.epochs * -(-len(memory.book.answers) // self.batch))
            compared = list(dict.fromkeys(text for entry in memory.book.answers for text in entry))
            if compared:
                self._take_in(memory, self._raw(memory, compared))
        return memory

    @override
    def questions(self, transitions: Transitions, state: Pupil) -> list[Any]:
        """Return at most one pair a step, of captions that were never compared."""
        for text in self.read_active(transitions):
            if (text,) not in state.seen.answers:
                state.seen.answer((text,), transitions.clock)
        texts = list(state.seen.answers)
        if len(texts) < 2 or len(state.book.pending) >= self.waiting:
            return []
        first, second = state.draw(len(texts), 2).tolist()
        entry = (*texts[first], *texts[second])
        known = first == second or entry[::-1] in state.book.answers or entry[::-1] in state.book.pending
        return [] if known or not state.book.ask(entry, transitions.clock) else [about(entry)]

    @override
    def evaluate(self, transitions: Transitions, memory: Pupil, *inputs: Any) -> dict[str, np.ndarray]:
        texts, places = self.read(*transitions.after)
        numbers = memory.numbers
        variance = numbers["spread"] / max(numbers["count"], 1)
        if not memory.book.answers or variance < _SMALLEST:
            return {"worth": np.zeros(len(places))}
        z = (self._raw(memory, texts) - numbers["mean"]) / np.sqrt(variance)
        paid = (z > self.floor) & np.array([bool(text) for text in texts])
        return {"worth": np.where(paid, z, 0.0)[places]}

    @override
    def fit(self, experience: Experience, memory: Pupil, *inputs: Any) -> dict[str, float]:
        """Descend, and take in the moments; log the loss of the last step, answers, and how many are waited for."""
        loss = self._descend(memory, self.updates if memory.book.fresh else 1)
        if memory.book.answers:
            texts, places = self.read(*experience.rows().after)
            judged = np.array([bool(text) for text in texts])[places]
            if judged.any():
                self._take_in(memory, self._raw(memory, texts)[places[judged]])
        return {**memory.progress(), "loss": loss}

    def _raw(self, memory: Pupil, texts: list[bytes]) -> np.ndarray:
        said = memory.evaluate("network", as_rows(texts, memory.numbers["width"]))
        return said[:, 0].astype(np.float64)

    def _take_in(self, memory: Pupil, values: np.ndarray) -> None:
        """Add values to the running moments (Chan, Golub & LeVeque 1983)."""
        numbers, count = memory.numbers, len(values)
        total, apart = numbers["count"] + count, float(values.mean()) - numbers["mean"]
        numbers["spread"] += float(values.var()) * count + apart**2 * (numbers["count"] * count / total)
        numbers["mean"] += apart * (count / total)
        numbers["count"] = total

    def _descend(self, memory: Pupil, steps: int) -> float:
        import torch

        from shapegym.shaping.networks import as_tensor

        answers, width = memory.book.answers, memory.numbers["width"]
        if not answers:
            return 0.0
        first, second = (as_tensor(as_rows([entry[side] for entry in answers], width)) for side in (0, 1))
        better = torch.tensor([*answers.values()], dtype=torch.float32)
        wanted = torch.stack([better, 1.0 - better], dim=1)
        loss = torch.zeros(())
        for _ in range(steps):
            drawn = memory.draw(len(first), min(self.batch, len(first)))
            said = torch.cat([memory["network"](side[drawn]) for side in (first, second)], dim=1)
            loss = torch.nn.functional.cross_entropy(said, wanted[drawn])
            memory.descend(loss, longest=_LONGEST_GRADIENT)
        return float(loss.item())
