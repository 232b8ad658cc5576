"""The contract: read this file first.

A reward is an expression over transitions. The engine (`shapegym.shaping.evaluation.engine`) evaluates that one expression wherever
reinforcement learning touches a reward, and keeps the task's own reward beside it. Everything rests on one split:

**Terms measure.** A `Term` is a leaf. It turns each transition into one number, its *part*, once, when the transition happens.
Whatever it remembers (counts, statistics, random numbers) is a plain visible value that `init` returns, `observe` updates and
`measure` only reads. So measuring twice never changes anything, which is what lets a replay buffer measure again.

**Combinators combine.** A `Combinator` is an inner node. It turns the parts of its children into a reward, as a pure function of
arrays. An elementwise one (sum, clip, ...) needs nothing else. An `EpisodicCombinator` (gate, look-ahead, ...) also needs to know
which steps belong to one episode, and may decide about a step only after later steps are known.

Because parts are kept and combined late, an expression means the same on-policy (combined over a rollout before advantages are
computed) and off-policy (combined when a batch is sampled, episodes that are still undecided being held back).

Both kinds are frozen dataclasses: the fields are the hyper-parameters, so an expression prints, compares, hashes, pickles, loads
from YAML and is its own sweep configuration. Terms that are equal are one term: they are measured once and share their state.
`shapegym.shaping.transitions` holds the data: transitions, episodes, what an expression is bound to.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum, IntEnum
from typing import Any, ClassVar

import numpy as np

from shapegym.shaping.errors import ExpressionError, HindsightError
from shapegym.shaping.transitions import Array, Episodes, Spec, State, Transitions


class Replay(Enum):
    """How a term's part is obtained when a stored transition is used again."""

    RECOMPUTE = "recompute"
    """Pure in the transition: the stored part is right for ever, and can be recomputed for a relabelled goal."""
    FROZEN = "frozen"
    """Measured again at sampling with the statistics of now, which sampling does not change (a weight, a lifetime count)."""
    STAMP = "stamp"
    """Depends on the order of experience: the part of collection time is kept."""


class Guarantee(IntEnum):
    """What adding this expression to a task's reward can do to the task's optimal policies; higher is stronger."""

    NONE = 0
    """Optimal policies may change, by any amount."""
    BOUNDED = 1
    """They may change, but (beside an invariant part) one step adds at most a fixed amount."""
    ADVICE = 2
    """Unchanged if the agent acts greedily on Q(s, a) + Phi(s, a) (Wiewiora et al. 2003); SB3's agents do not."""
    INVARIANT = 3
    """The set of optimal policies is unchanged in every MDP."""


NODES: dict[str, type[Expression]] = {}
"""Every concrete node by its registered name (snake case of the class), as reward files spell it."""


def snake_case(name: str) -> str:
    """``CountBonus`` -> ``count_bonus``, ``SimHash`` -> ``sim_hash``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def require_name(name: str) -> str:
    """Return ``name`` if a part can be called so: logs, files and info keys are made of it.

    Raises:
        ExpressionError: if it is no identifier.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise ExpressionError(f"A part's name must be an identifier such as 'key_bonus', got {name!r}.")
    return name


@dataclass(frozen=True)
class Expression:
    """A node of a reward expression. Combine with ``+ - *`` and the functions of `shapegym.shaping.combinators.elementwise`.

    ``name`` (keyword only, not part of equality) is what the node's part is called in logs: ``Potential(...).named("phi")``.
    """

    name: str | None = field(default=None, kw_only=True, compare=False)

    guarantee: ClassVar[Guarantee | property] = Guarantee.NONE
    """What this node alone promises; `guarantee_of` in `shapegym.shaping.tree` propagates it through the expression."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "abstract" not in cls.__dict__:  # families (Term, Combinator, ...) are not nodes
            NODES[snake_case(cls.__name__)] = cls

    @property
    def children(self) -> tuple[Expression, ...]:
        """The sub-expressions, in field order."""
        found: list[Expression] = []
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Expression):
                found.append(value)
            elif isinstance(value, tuple):
                found.extend(child for child in value if isinstance(child, Expression))
        return tuple(found)

    def named(self, name: str) -> Expression:
        """Return the same expression whose part is called ``name`` in every log."""
        return replace(self, name=require_name(name))

    def __str__(self) -> str:
        """The expression as one would write it, without default fields and names."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "name" or value == item.default:
                continue
            if isinstance(value, Expression):
                shown.append(str(value))
            elif isinstance(value, tuple) and any(isinstance(child, Expression) for child in value):
                shown.extend(map(str, value))
            else:
                shown.append(f"{item.name}={value}")
        return f"{type(self).__name__}({', '.join(shown)})"

    # `shapegym.shaping.algebra` sets these two: it builds nodes, so it imports this module.
    _add: ClassVar[Callable[..., Expression]]
    _multiply: ClassVar[Callable[..., Expression]]

    def __add__(self, other: Expression | float) -> Expression:
        return Expression._add(self, other)

    def __radd__(self, other: float) -> Expression:
        return Expression._add(other, self)

    def __sub__(self, other: Expression | float) -> Expression:
        return Expression._add(self, Expression._multiply(other, -1.0))

    def __rsub__(self, other: float) -> Expression:
        return Expression._add(other, -self)

    def __mul__(self, other: Expression | float) -> Expression:
        return Expression._multiply(self, other)

    __rmul__ = __mul__

    def __neg__(self) -> Expression:
        return self * -1.0


@dataclass(frozen=True)
class Term(Expression, ABC):
    """A leaf: measures one number, its part, for every transition.

    Subclasses are frozen dataclasses. They override `measure`, and `init`/`observe` if they remember anything. Keyword
    hyper-parameters come with validated defaults (``__post_init__`` raises `ExpressionError`).
    """

    abstract: ClassVar[bool] = True
    replay: ClassVar[Replay | property] = Replay.RECOMPUTE

    learned: ClassVar[bool] = False
    """Whether the term is fitted to experience. The engine then keeps transitions and calls `fit`: before a rollout is paid, whose
    parts are measured again if they are FROZEN; elsewhere every `RewardEngine.learn_every` steps."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Features that the term reads from ``next_features``."""
        return ()

    @property
    def reads_before(self) -> tuple[str, ...]:
        """Features that the term reads from ``features``: the environment must give them on reset too."""
        return ()

    @property
    def inputs(self) -> tuple[Expression, ...]:
        """Elementwise expressions whose values of the same step this term measures (a running scale of its operand)."""
        return self.children

    def init(self, spec: Spec) -> State:
        """Check the term against ``spec`` and return its fresh state.

        Raises:
            ShapingError: if the term cannot be measured on this environment; says why and what to do.
        """
        del spec
        return {}

    def observe(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> None:
        """Update ``state`` in place with transitions that just happened. Called exactly once for each, before `measure`.

        Rows with ``active=False`` must leave the state as it is.
        """

    @abstractmethod
    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """Return the parts of the transitions just observed, (B,) float64, without changing ``state``.

        Inactive rows may hold anything finite.
        """

    def fit(self, batch: Transitions, state: State, *inputs: np.ndarray) -> Mapping[str, float]:
        """Learn in place from the N transitions since the last call, in order of time, and return what to log. See `learned`."""
        raise NotImplementedError(f"{type(self).__name__} is learned, so it must define fit.")

    def remeasure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """Return the parts that any stored transitions have now, however many, without changing ``state``.

        Replay buffers call it where `replay` says that parts move on. The same as `measure`, unless that reads what `observe` found
        out about the very batch that it observed.
        """
        return self.measure(transitions, state, *inputs)


@dataclass(frozen=True)
class Combinator(Expression):
    """An inner node whose value at a step needs only its children's values at that step."""

    abstract: ClassVar[bool] = True
    episodic: ClassVar[bool | property] = False

    def combine(self, values: Sequence[Array]) -> Array:
        """Return the combined value from the children's values, all of one shape: (B,), (T, B) or any other.

        Uses operations that NumPy and torch share, so that the result is differentiable in tensors among the values.
        """
        raise HindsightError(f"{type(self).__name__} decides from whole episodes: use combine_block.")

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """Return what the node promises, given what its children promise. The default: bounded if they all are, else nothing."""
        return Guarantee.BOUNDED if all(g is Guarantee.BOUNDED for g in guarantees) else Guarantee.NONE

    def check(self, spec: Spec) -> None:
        """Raise a `ShapingError` if the node cannot be used with ``spec``."""
        del spec


@dataclass(frozen=True)
class EpisodicCombinator(Combinator, ABC):
    """An inner node that decides about a step from the whole episode, so possibly after later steps are known."""

    abstract: ClassVar[bool] = True
    episodic: ClassVar[bool | property] = True

    additive: ClassVar[bool | property] = False
    """Whether of an episodic operand only the sum over each episode matters, which does not depend on where rollouts are cut."""

    alone: ClassVar[bool] = True
    """Whether what an episode is paid depends on that episode alone, so that a replay buffer can pay it again."""

    def carry(self, num_lanes: int) -> State:
        """Return what a block leaves for the next one, fresh.

        Arrays whose last axis is the lanes: what the fragments of a still-open episode leave. Under the key "run", if the node has
        it: what is remembered of all episodes and lanes, in arrays that are updated in place.
        """
        del num_lanes
        return {}

    def warning(self, carry: State) -> str | None:
        """Return what a user should be told by now, with advice, or None. The engine says it once."""
        del carry
        return None

    @abstractmethod
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        """Return the rewards, (T, B), from the children's values, each (T, B), updating ``carry`` in place.

        What an episode is paid over all its fragments must not depend on where they were cut: the sum of its rewards or, for a
        node with a discount (look-ahead), their discounted sum.
        """
