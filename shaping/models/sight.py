"""What networks see of states: the rows that several models read, selected and standardised once a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, MinLen
from typing_extensions import override

from shapegym.shaping.errors import ObservationError
from shapegym.shaping.limits import Positive
from shapegym.shaping.reading import require_readable
from shapegym.shaping.remembered import COUNTS, Remembers
from shapegym.shaping.states.select import Selects, width_for_network
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from torch import nn

    from shapegym.shaping.networks import Networks

_SMALLEST = 1e-8
"""Variance of a number that counts as constant; it is shown as 0."""


@dataclass(frozen=True)
class Sight(Model):
    """``after`` and ``before`` (B, n): what is read of s_{t+1} and of s_t, and `body`, the network that can read it.

    With ``standardise`` each number is brought to mean 0 and variance 1 by running statistics over all s_{t+1}, and clipped to
    [-clip, clip]; they are taken from training itself, before it is judged by them, and no step is made for them (Burda et al.
    2019, "Exploration by Random Network Distillation", section 2.4, make random steps first). Symbols of a grid and pictures of
    bytes are left as they are by the networks that read them, so do not standardise those.

    Args:
        keys: selectors of what is read.
        network: which kind of network reads it: "mlp", "cnn", "grid" (three symbols a cell), or "auto", by the declared space.
        standardise: whether to bring numbers to unit scale.
        clip: limit of standardised numbers.
    """

    keys: Annotated[tuple[Selects, ...], MinLen(1)] = ("obs",)
    network: Literal["auto", "mlp", "cnn", "grid"] = "auto"
    standardise: bool = False
    clip: Positive = 5.0

    outputs: ClassVar[tuple[str, ...]] = ("after", "before")
    looks = "both"
    learned = property(lambda self: self.standardise)
    remembers: ClassVar[Remembers] = {"numbers/count": COUNTS, "numbers/spread": (Ge(0),)}

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls()), Example(cls(("obs.observation",), standardise=True), "dict"))

    @override
    def init(self, spec: Spec) -> Networks:
        """Return running moments; raises `ObservationError` if it cannot be read, or is none for the network."""
        from shapegym.shaping.models.bodies import resolved
        from shapegym.shaping.networks import Networks

        require_readable(self, spec)
        width = width_for_network(type(self).__name__, self.keys, spec)
        kind = resolved(self.network, self.keys, spec)
        if self.standardise and kind != "mlp":
            raise ObservationError(
                f"{type(self).__name__}: {', '.join(self.keys)} are read as a {'picture' if kind == 'cnn' else 'grid of symbols'}, "
                "which is not standardised. Take standardise=False, or network='mlp'."
            )
        moments = {"count": 0, "mean": np.zeros(width), "spread": np.zeros(width)}
        return Networks({}, self, spec, numbers=moments if self.standardise else {})

    def body(self, reader: str, spec: Spec, hidden: int, width: int) -> nn.Module:
        """Return a network that reads the rows, (B, n) to (B, ``width``).

        Raises:
            ObservationError: if there is none of the kind; begins with ``reader``.
        """
        from shapegym.shaping.models.bodies import body

        return body(self.network, reader, self.keys, spec, hidden, width)

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        from shapegym.shaping.networks import read_rows

        numbers = memory.numbers
        after = read_rows(self.keys, *transitions.after)
        before = read_rows(self.keys, transitions.obs, transitions.features)
        if not self.standardise:
            return {"after": after, "before": before}
        return {"after": self._scaled(after, numbers), "before": self._scaled(before, numbers)}

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        """Take in the moments of the experience (Chan, Golub & LeVeque 1983)."""
        from shapegym.shaping.networks import read_rows

        rows = read_rows(self.keys, *experience.rows().after).astype(np.float64)
        numbers = memory.numbers
        seen, count = numbers["count"], len(rows)
        mean, total = rows.mean(axis=0), seen + count
        apart = mean - numbers["mean"]
        numbers["spread"] = numbers["spread"] + rows.var(axis=0) * count + apart**2 * (seen * count / total)
        numbers["mean"] = numbers["mean"] + apart * (count / total)
        numbers["count"] = total
        return {}

    def _scaled(self, rows: np.ndarray, numbers: Any) -> np.ndarray:
        if not numbers["count"]:
            return np.clip(rows, -self.clip, self.clip)
        variance = numbers["spread"] / numbers["count"]
        factor = np.where(variance > _SMALLEST, 1.0 / np.sqrt(np.maximum(variance, _SMALLEST)), 0.0)
        shown = (rows - numbers["mean"].astype(np.float32)) * factor.astype(np.float32)
        return np.clip(shown, -self.clip, self.clip, out=shown)
