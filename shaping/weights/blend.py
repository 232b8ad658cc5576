"""Blends: sums of parts whose weights an algorithm learns.

``blend(TaskReward(), bonus)`` is ``TaskReward() * w_0 + bonus * w_1 + w_bias``, with a `LearnedWeight` for each w. The weights are
terms of the expression: visible, saved with its state, and of now when a stored transition is used again. They do not learn by
themselves. The algorithm BARFI learns them (`shapegym.agents.algorithms.barfi`); under any other algorithm they stay at
``initial``, which makes a blend with ``initial=1`` the plain sum of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal
from zlib import crc32

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import Product, Sum, TaskReward
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.limits import Count, Via, checked
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.select import Selects, selector, width_for_network
from shapegym.shaping.terms.events import EVENT
from shapegym.shaping.transitions import Array, Spec, State, Transitions
from shapegym.shaping.tree import part_names
from shapegym.shaping.types import ElementwiseOperands, Example, Expression, Term, require_name

Form = Literal["scalar", "table", "network"]
Name = Annotated[str, Via(require_name)]

_ONE_INDEX = ", and a table has one index"


@dataclass(frozen=True)
class LearnedWeight(Term):
    """w(s_t): a weight that a bi-level algorithm learns, ``initial`` everywhere at first.

    | form | w(s) |
    |---|---|
    | ``scalar`` | one number |
    | ``table`` | table[x(s)], of the integer x that ``read`` selects |
    | ``network`` | initial + output · tanh(hidden^T x(s) + offset), of the numbers x that ``read`` selects |

    Replay: frozen (the weight of now).

    Args:
        key: what the weight is called; weights with different keys learn apart from each other.
        initial: the weight before anything is learned.
        form: "scalar", "table" or "network".
        read: selector of what a table or network is indexed by, in s_t.
        size: entries of the table, or hidden units of the network.
        learn: False keeps the weight as it is: for a part that is not to be reweighted, or a blend to compare with.
    """

    key: Name = "weight"
    initial: float = 1.0
    form: Form = "scalar"
    read: Selects | None = None
    size: Count = 1
    learn: bool = True

    replay: ClassVar[Replay] = Replay.FROZEN
    learnable = property(lambda self: self.learn)
    weighs: ClassVar[bool] = True
    looks = "before"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.read is None) != (self.form == "scalar"):
            raise ExpressionError(
                f"LearnedWeight: a scalar reads nothing, a table or network needs read=..., such as 'features.state'; got "
                f"form={self.form!r}, read={self.read!r}."
            )

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(EVENT * cls("event", 0.5)),
            Example(cls("cell", 0.5, "table", "features.agent_pos[0]", 5)),
            Example(TaskReward() * cls("task", 0.5, "network", "obs", 3)),
        )

    @override
    def init(self, spec: Spec) -> State:
        """Return the weights: arrays by name, the phi of `value`."""
        if self.read is None:
            return {"weight": np.full(1, float(self.initial))}
        if self.form == "table":
            selector(self.read).require_one(selector(self.read).width(spec), _ONE_INDEX)
            return {"table": np.full(self.size, float(self.initial))}
        width = width_for_network(f"LearnedWeight {self.key!r}", (self.read,), spec)
        rng = np.random.default_rng([spec.seed, crc32(self.key.encode())])
        return {
            "hidden": rng.normal(0.0, 1.0 / np.sqrt(width), (width, self.size)),
            "offset": np.zeros(self.size),
            "output": np.zeros(self.size),
            "weight": np.full(1, float(self.initial)),
        }

    def rows(self, transitions: Transitions) -> np.ndarray:
        """Return what the weight depends on, (B, width) float64: x(s_t).

        Raises:
            ObservationError: if an index is outside of the table.
        """
        if self.read is None:
            return np.zeros((transitions.num_lanes, 0))
        rows = selector(self.read).read(transitions.obs, transitions.features).astype(np.float64)
        if self.form == "table":
            selector(self.read).require_one(rows.shape[1], _ONE_INDEX)
            wrong = (rows < 0) | (rows >= self.size) | (rows != np.floor(rows))
            if np.any(wrong & transitions.active[:, None]):
                raise ObservationError(
                    f"LearnedWeight {self.key!r}: {self.read!r} is {rows[wrong][0]:g}, and the table has the entries 0 to "
                    f"{self.size - 1}. Set size to how many values there are."
                )
            rows = np.where(wrong, 0.0, rows)
        return rows

    def value(self, phi: Mapping[str, Array], rows: Array) -> Array:
        """Return w, (B,), from the weights ``phi`` and `rows`: arrays, or torch tensors, through which it is differentiable."""
        if self.form == "scalar":
            return phi["weight"] + rows.sum(1)  # of no numbers: zeros of the right kind, on the right device
        if self.form == "table":
            table = phi["table"]
            index = rows[:, 0]
            return table[index.astype(np.int64) if isinstance(index, np.ndarray) else index.long()]
        # Products and sums, not @: BLAS would make a lane's value depend on how many lanes there are.
        xp = array_namespace(phi["hidden"])
        units = xp.tanh((rows[:, :, None] * phi["hidden"]).sum(1) + phi["offset"])
        return (units * phi["output"]).sum(1) + phi["weight"]

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        value: np.ndarray = self.value(state, self.rows(transitions))
        return value


def blend(
    *parts: Expression,
    initial: float | Sequence[float] = 1.0,
    form: Form = "scalar",
    read: str | None = None,
    size: int = 1,
    bias: float | None = 0.0,
    learn: bool = True,
) -> Sum:
    """Return sum_i w_i part_i + w_bias, with a `LearnedWeight` each; in logs every product keeps the name of its part.

        blend(TaskReward(), StateReward("features.height").named("height"))

    Behaviour-alignment reward r_phi = phi_1 + phi_2 r_p + phi_3 r_aux of Gupta et al. 2023 (BARFI), for any number of parts.

    The parts are known at once and have distinct names; usually `TaskReward` is among them. ``initial`` is their weight at first,
    one for all, or one each. ``bias`` is that of the bias; None leaves it out, as in a second blend of one expression. The other
    arguments are `LearnedWeight`'s, for all weights, the bias included.
    """
    parts = checked("blend: parts", ElementwiseOperands, parts)
    starts = checked("blend: initial", float | tuple[float, ...], initial)
    starts = starts if isinstance(starts, tuple) else (starts,) * len(parts)
    if len(starts) != len(parts):
        raise ExpressionError(
            f"blend has {len(parts)} parts and {len(starts)} initial weights: give one each, or one."
        )
    if "bias" in part_names(parts):
        raise ExpressionError(
            "blend: 'bias' is what the blend's own constant is called; name the part otherwise."
        )
    weighted: list[Expression] = []
    for part, name, start in zip(parts, part_names(parts), starts, strict=True):
        weight = LearnedWeight(name, start, form, read, size, learn, name=f"weight_{name}")
        weighted.append(Product((part, weight), name=name))
    if bias is not None:
        weighted.append(LearnedWeight("bias", bias, form, read, size, learn, name="weight_bias"))
    return Sum(tuple(weighted))
