"""The contract: read this file first.

A reward is an expression over transitions. The engine (`shapegym.shaping.evaluation.engine`) evaluates that one expression wherever
reinforcement learning touches a reward, and keeps the task's own reward beside it. There are three kinds of node.

**Terms measure.** A `Term` is a leaf. It turns each transition into one number, its *part*, once, when the transition happens.
Whatever it remembers (counts, statistics, random numbers) is a plain visible value that `init` returns, `observe` updates and
`measure` only reads. So measuring twice never changes anything, which is what lets a replay buffer measure again.

**Combinators combine.** A `Combinator` is an inner node. It turns the parts of its children into a reward, as a pure function of
arrays. An elementwise one (sum, clip, ...) needs nothing else. An `EpisodicCombinator` (gate, look-ahead, ...) also needs to know
which steps belong to one episode, and may decide about a step only after later steps are known.

**Models make numbers for terms.** A `Model` turns transitions into named arrays of any width, and learns: an encoder, a predictor,
a discriminator. Terms take models as inputs; equal models are one model, evaluated once a batch, so terms share an encoder by
naming it. A recurrent one observes each step once, as a term does, before it is evaluated. Models may use torch; terms and
combinators do not.

Because parts are kept and combined late, an expression means the same on-policy (combined over a rollout before advantages are
computed) and off-policy (combined when a batch is sampled, episodes that are still undecided being held back). What learns is
fitted to a rollout before the rollout is paid, and measured once for all of it.

All are frozen dataclasses: the fields are the hyper-parameters, so an expression prints, compares, hashes, pickles, loads from YAML
and is its own sweep configuration. Nodes that are equal are one node. What a field takes stands in its annotation
(`shapegym.shaping.limits`). What anybody asks of a node (surfaces, reports, ablations, the compliance suite) the node answers
itself: its declarations are below. `shapegym.shaping.transitions` holds the data: transitions, episodes, what an expression is
bound to, with the notation (B lanes, T steps).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from annotated_types import MinLen

from shapegym.shaping.errors import ExpressionError, HindsightError
from shapegym.shaping.limits import Limited, Unfit, Via
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.reading import entries_of, features_of, of_step_in, require_readable
from shapegym.shaping.remembered import Remembers
from shapegym.shaping.transitions import Array, Episodes, Experience, Spec, State, Transitions

NODES: dict[str, type[Node]] = {}
"""Every concrete node by its registered name (snake case of the class), as reward files spell it."""


def snake_case(name: str) -> str:
    """``CountBonus`` -> ``count_bonus``, ``SimHash`` -> ``sim_hash``, ``E3B`` -> ``e3b``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])", "_", name).lower()


def require_name(name: str) -> str:
    """Return ``name`` if a part can be called so: logs, files and info keys are made of it.

    Raises:
        ExpressionError: if it is no identifier.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise ExpressionError(f"A part's name must be an identifier such as 'key_bonus', got {name!r}.")
    return name


def register(registry: dict[str, type], cls: type) -> None:
    """Enter ``cls`` under its snake-case name; a class that is defined again, as in a notebook, takes its own place.

    Raises:
        ExpressionError: if another class has the name.
    """
    name, known = snake_case(cls.__name__), registry.get(snake_case(cls.__name__))
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        both = [f"{one.__module__}.{one.__qualname__}" for one in (known, cls)]
        if not any("<locals>" in path or path.startswith("__main__") for path in both):
            raise ExpressionError(
                f"{both[0]} and {both[1]} are both called {name!r} in reward files: rename one."
            )
    registry[name] = cls


ObservationKind: TypeAlias = Literal["box", "discrete", "dict"]
"""Observations that `shapegym.shaping.testing.ScriptedEnv` can give."""


@dataclass(frozen=True)
class Example:
    """An expression that shows a term or combinator at work, or a model, and the kind of observation on which it can be used."""

    node: Node
    observation: ObservationKind = "box"


@dataclass(frozen=True)
class Node(Limited):
    """What expressions are made of.

    ``name`` (keyword only, not part of equality) is what the node is called in logs: ``Potential(...).named("phi")``.
    """

    name: str | None = field(default=None, kw_only=True, compare=False)

    in_words: ClassVar[str] = "a node"

    remembers: ClassVar[Remembers | property] = {}
    """Limits of what a term's state or an episodic node's carry may hold, by path: which arrays grow, what is a count, what never
    changes (`shapegym.shaping.remembered`). A file whose state breaks them, or has another form than a fresh one, is refused."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "abstract" not in cls.__dict__:  # families (Term, Combinator, ...) are not nodes
            register(NODES, cls)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Return expressions that show the node at work on a `ScriptedEnv`; the compliance suite runs them."""
        return ()

    @property
    def children(self) -> tuple[Any, ...]:
        """The nodes among the fields, in field order."""
        values = (getattr(self, item.name) for item in fields(self))
        entries = (value if isinstance(value, tuple) else (value,) for value in values)
        return tuple(child for several in entries for child in several if isinstance(child, Node))

    def named(self, name: str) -> Any:
        """Return the same node, called ``name`` in every log."""
        return replace(self, name=require_name(name))

    def __str__(self) -> str:
        """The node as one would write it, without default fields and names."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "name" or value == item.default:
                continue
            if isinstance(value, Node):
                shown.append(str(value))
            elif isinstance(value, tuple) and any(isinstance(child, Node) for child in value):
                shown.extend(map(str, value))
            else:
                shown.append(f"{item.name}={value}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True)
class Expression(Node):
    """A node with a value at every step: a term or a combinator. Combine with ``+ - *`` and the functions of `shapegym.shaping`."""

    abstract: ClassVar[bool] = True
    in_words: ClassVar[str] = "an expression"

    linear: ClassVar[bool] = False
    """Whether the value is a weighted sum of the operands', with fixed weights (`Sum`, `Scale`)."""

    paid: ClassVar[bool | property] = True
    """Whether anything of it is paid; else it is only logged (`Logged`)."""

    weighs: ClassVar[bool | property] = False
    """Whether the value is a number by which others are weighted (a schedule, a running scale), and measures nothing of its own."""

    named_after: ClassVar[Expression | property | None] = None
    """The operand after which the part is called in logs when it has no name of its own."""

    def pays_task(self, times: Sequence[int]) -> int:
        """Return how often the value pays the task reward, given how often each child does (of alternatives one counts)."""
        return max(times, default=0)

    def factors(self) -> tuple[float, tuple[Expression, ...]]:
        """Return a number and expressions whose product this is."""
        return 1.0, (self,)

    @property
    def addends(self) -> tuple[Expression, ...]:
        """The contributions that add up to the value; each is logged as a part."""
        return (self,)

    def map_addends(self, each: Callable[[Expression], Expression | None]) -> Expression | None:
        """Return the node with ``each`` applied to what its value adds up, or None where nothing is left.

        Raises:
            ExpressionError: if the value is no sum of what its operands pay.
        """
        raise ExpressionError(
            f"{type(self).__name__} is no sum of what its operands pay, so one of them cannot be paid without the others: {self}. "
            "Write a sum, such as TaskReward() + bonus."
        )

    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        """Yield each part that can be left out, and what the expression is without it, or None where nothing remains.

        The task's own reward is never left out.
        """
        if times_task_is_paid(self) == 0:
            yield self, None

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


class Reader:
    """What terms and models share: they read transitions and the values of other nodes, remember, and may learn."""

    children: Any

    learned: ClassVar[bool] = False
    """Whether `fit` is called: before a rollout is paid, whose parts are measured afterwards; elsewhere every
    `RewardEngine.learn_every` steps, and then a fit counts from the next step on."""

    fits_on: ClassVar[Literal["steps", "episodes"]] = "steps"
    """What `fit` gets: all steps since the last fit, or the episodes that ended since, whole, one a lane, their last steps aligned
    (rows before a shorter one are inactive)."""

    looks: ClassVar[Literal["after", "before", "both"] | property] = "after"
    """On which side of the step the fields that select something of a state (`shapegym.shaping.reading`) read it."""

    reads_policy: ClassVar[bool] = False
    """Whether the node reads what only the agent knows of its action (`LOG_PROB`): rollout buffers say it before they pay, and
    other surfaces refuse the node. Its part must wait for something that learns."""

    asks: ClassVar[bool] = False
    """Whether the node asks an annotator (`shapegym.shaping.evaluation.answers`): then `questions` and `answered` are called."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Features that the node reads from ``next_features``: what its fields select, if it looks there."""
        return () if self.looks == "before" else features_of(self)

    @property
    def reads_before(self) -> tuple[str, ...]:
        """Features that the node reads from ``features``: the environment must give them on reset too."""
        return () if self.looks == "after" else features_of(self)

    @property
    def of_step(self) -> tuple[str, ...]:
        """What its fields select that describes the step and not a state, such as "action"; only a node that looks "after" can."""
        return of_step_in(self)

    @property
    def entries(self) -> tuple[str, ...]:
        """Entries of the observation that its fields select (of either side), or `WHOLE`: what a replay buffer keeps for it."""
        return entries_of(self)

    @property
    def inputs(self) -> tuple[Node, ...]:
        """What the node gets the values of: of an elementwise expression (B,), of a model its outputs by name."""
        inputs: tuple[Node, ...] = self.children
        return inputs

    def annotator(self) -> Any:
        """Return who answers, an `Annotator`, where the node's fields say so; None leaves it to whoever binds the reward."""
        return None

    def questions(self, transitions: Transitions, state: Any) -> Sequence[Any]:
        """Return what to ask about transitions that were just observed, as JSON values. Nobody waits for the answers."""
        return ()

    def answered(self, question: Any, answer: Any, state: Any) -> None:
        """Take in the answer to a question, some time later, in place."""

    def unanswered(self, question: Any, state: Any) -> None:
        """Take in, in place, that a question got an error and will have no answer. The default: that changes nothing."""


@dataclass(frozen=True)
class Term(Expression, Reader, ABC):
    """A leaf: measures one number, its part, for every transition.

    Subclasses are frozen dataclasses. They override `measure`, and `init`/`observe` if they remember anything. Keyword
    hyper-parameters come with their limits as annotations, and defaults where there is a sensible one.
    """

    abstract: ClassVar[bool] = True
    replay: ClassVar[Replay | property] = Replay.RECOMPUTE
    """A pure term that reads a model, or a term whose parts move, counts as FROZEN."""

    keeps: ClassVar[Keeps | property] = Keeps.NOTHING
    bound: ClassVar[float | property | None] = None
    """The largest absolute value of a part, or None if there is no limit."""

    learnable: ClassVar[bool | property] = False
    """Whether the part is a weight that an algorithm learns (`LearnedWeight`)."""

    items: ClassVar[tuple[str, ...] | property] = ()
    """Names of what the part is made of: logged beside it as ``NAME/ITEM``, and never paid by themselves. See `itemise`."""

    sees_world: ClassVar[bool] = False
    """Whether a lane's part depends on the other lanes of its world (`Spec.worlds`), which must end together then.

    On other lanes it may depend only through statistics of all experience.
    """

    def init(self, spec: Spec) -> State:
        """Check the term against ``spec`` and return its fresh state. The default: that its fields can be read, and none.

        Raises:
            ShapingError: if the term cannot be measured on this environment; says why and what to do.
        """
        require_readable(self, spec)
        return {}

    def remark(self, spec: Spec) -> str | None:
        """Return what a user should be told of the term on this environment before training, with advice, or None."""
        return None

    def check_state(self, state: State, fresh: State) -> None:
        """Raise a ValueError if ``state``, of the form of ``fresh`` and within the limits of `remembers`, is none of this term.

        For what lies between several values; by default nothing does.
        """

    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        """Update ``state`` in place with transitions that just happened. Called exactly once for each, before `measure`.

        Rows with ``active=False`` must leave the state as it is.
        """

    @abstractmethod
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        """Return the parts of the transitions just observed, (B,) float64, without changing ``state``.

        Inactive rows may hold anything finite.
        """

    def itemise(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        """Return what `measure` does and, behind it, what `items` names, (1 + k, B) float64. Called in the place of `measure`."""
        raise NotImplementedError(f"{type(self).__name__} has items, so it must define itemise.")

    def fit(self, experience: Experience, state: State, *inputs: Any) -> Mapping[str, float]:
        """Learn in place and return what to log. ``inputs`` have the axes of ``experience``, (T, B, ...). See `learned`."""
        raise NotImplementedError(f"{type(self).__name__} is learned, so it must define fit.")

    def remeasure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        """Return the parts that any stored transitions have now, however many, without changing ``state``.

        Replay buffers call it where `replay` says that parts move on. The same as `measure`, unless that reads what `observe` found
        out about the very batch that it observed.
        """
        return self.measure(transitions, state, *inputs)


class Memory(Protocol):
    """What a model remembers: parameters, optimisers, random streams, numbers."""

    def state_dict(self) -> State:
        """Return all of it as nested plain values (`State`), independent of what happens next."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`.

        Raises:
            Exception: if ``state`` is not of this form; the engine then keeps what it had.
        """
        ...


@dataclass(frozen=True)
class Model(Node, Reader, ABC):
    """Turns transitions into named arrays, (B, d) each, and learns. Terms name it as an input; logs show what `fit` returns.

    Its values may differ by rounding (float32) with the size of the batch they are computed in, and so may the parts of terms that
    read it. `shapegym.shaping.networks` has a ready memory for torch modules.
    """

    abstract: ClassVar[bool] = True
    in_words: ClassVar[str] = "a model"
    learned: ClassVar[bool] = True

    outputs: ClassVar[tuple[str, ...] | property] = ()
    """Names of the arrays that `evaluate` returns."""

    judges_first: ClassVar[bool] = False
    """Whether a rollout is judged by what was learned before it, and learned from afterwards, because what is new is so before it
    is learned. Others judge a rollout when they have learned from it."""

    recurrent: ClassVar[bool | property] = False
    """Whether what it says of a step depends on those before it in the lane's episode: then `observe` is called once for each step,
    in order, and `evaluate` only for the step just observed. Nobody can do it again, so terms that read it are stamped."""

    per_lane: ClassVar[tuple[str, ...]] = ()
    """Paths in the memory's state of what belongs to the lanes' open episodes ("numbers/code"), which no other run can use."""

    @abstractmethod
    def init(self, spec: Spec) -> Memory:
        """Check the model against ``spec`` and return its fresh memory, whose random numbers come from ``spec.seed`` alone.

        Raises:
            ShapingError: if it cannot be evaluated on this environment; says why and what to do.
        """

    def observe(self, transitions: Transitions, memory: Any, *inputs: Any) -> None:
        """Update what a `recurrent` model remembers of each lane with one step, in place, before it is evaluated.

        Lanes begin anew at rows with ``first``; rows with ``active=False`` must leave the memory as it is.
        """
        raise NotImplementedError(f"{type(self).__name__} is recurrent, so it must define observe.")

    @abstractmethod
    def evaluate(self, transitions: Transitions, memory: Any, *inputs: Any) -> Mapping[str, np.ndarray]:
        """Return the outputs, each (B, d) or (B,), finite in active rows, without changing ``memory``.

        For any transitions; of a `recurrent` model, for those just observed.
        """

    def fit(self, experience: Experience, memory: Any, *inputs: Any) -> Mapping[str, float]:
        """Learn in place and return what to log. ``inputs`` have the axes of ``experience``, (T, B, ...).

        A fixed model sets ``learned`` to False instead.
        """
        raise NotImplementedError(f"{type(self).__name__} is learned, so it must define fit.")


@dataclass(frozen=True)
class Combinator(Expression):
    """An inner node whose value at a step needs only its children's values at that step."""

    abstract: ClassVar[bool] = True
    episodic: ClassVar[bool | property] = False
    named_after = property(lambda self: self.children[0] if len(self.children) == 1 else None)
    weighs = property(lambda self: all(child.weighs for child in self.children))

    def combine(self, values: Sequence[Array]) -> Array:
        """Return the combined value from the children's values, all of one shape: (B,), (T, B) or any other.

        Uses operations that NumPy and torch share, so that the result is differentiable in tensors among the values.
        """
        raise HindsightError(f"{type(self).__name__} decides from whole episodes: use combine_block.")

    def compose_keeps(self, kept: Sequence[Keeps]) -> Keeps:
        """Return what the node keeps, given what its children keep. The default: nothing."""
        del kept
        return Keeps.NOTHING

    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        """Return the largest absolute value of the node, given those of its children. The default: none is known."""
        del bounds
        return None

    def leave_one_out(self) -> Iterator[tuple[Expression, Expression | None]]:
        """Of a node around one operand: as that operand is without its parts."""
        if len(self.children) != 1:
            yield from super().leave_one_out()
            return
        (operand,) = self.children
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        key = next(name for name, value in values.items() if value in (operand, (operand,)))
        for part, rest in operand.leave_one_out():
            changed: Any = (rest,) if isinstance(values[key], tuple) else rest
            yield part, None if rest is None else replace(self, **{key: changed})

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

    discount: ClassVar[float | property | None] = 1.0
    """The discount at which the sum of what an episode is paid does not depend on where rollouts cut it; None if there is none."""

    alone: ClassVar[bool] = True
    """Whether what an episode is paid depends on that episode alone, so that a replay buffer can pay it again."""

    waits_for_end: ClassVar[bool | property] = True
    """Whether something is paid only when an episode ends, also where rollouts are paid: on a task that never ends, never."""

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


def walk(node: Node) -> Iterator[Any]:
    """Yield every node below and including ``node``, children before their parent (with repeats where one occurs twice)."""
    for child in node.children:
        yield from walk(child)
    yield node


def is_episodic(expression: Node) -> bool:
    """Whether some reward of the expression is known only after later steps."""
    return any(isinstance(node, Combinator) and node.episodic for node in walk(expression))


def times_task_is_paid(expression: Expression) -> int:
    """Return how often the task reward enters the sum that is paid: ``TaskReward() + gate(bonus, ...)`` pays it twice.

    A weight that is learned from the task reward, or a condition, reads it and does not pay it.
    """
    operands = expression.children if isinstance(expression, Combinator) else ()
    return expression.pays_task([times_task_is_paid(operand) for operand in operands])


def _known_at_its_step(value: Expression) -> Expression:
    if is_episodic(value):
        raise Unfit(
            f"must be known at its step, but {value} is known only in hindsight. Use the terms inside of it."
        )
    return value


Elementwise: TypeAlias = Annotated[Expression, Via(_known_at_its_step)]
"""An operand whose value is needed at once."""

Operands: TypeAlias = Annotated[tuple[Expression, ...], MinLen(1)]
"""At least one expression."""

ElementwiseOperands: TypeAlias = Annotated[tuple[Elementwise, ...], MinLen(1)]
"""At least one operand, all of whose values are needed at once."""
