"""An expression taken apart, once: what is measured in which order, and how parts become contributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from shapegym.shaping.arrays import tree_take
from shapegym.shaping.errors import (
    ExpressionError,
    FeatureError,
    HindsightError,
    LearningError,
    UnknownNameError,
    suggest,
)
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.names import names_in, path_in
from shapegym.shaping.transitions import Array, Episodes, Spec, State, Transitions
from shapegym.shaping.tree import (
    addends_of,
    named_readers,
    paid_addends,
    part_names,
    read_again,
    readers_of,
    reads_learned,
    reads_recurrent,
    replay_of,
)
from shapegym.shaping.types import (
    Combinator,
    EpisodicCombinator,
    Expression,
    Memory,
    Model,
    Node,
    Term,
    is_episodic,
)

Parts: TypeAlias = Any
"""Values by term: an (N, ...) array, or a list of N arrays or tensors."""

Evaluator: TypeAlias = Callable[[Parts, Episodes | None, list[State]], Array]
"""(parts by term, episodes of the block or None for one step, carries) -> value of an expression."""

Input: TypeAlias = Callable[[Parts, "Outputs"], Any]
"""(parts by term, outputs of the models) -> what a term or model gets of a node that it reads."""


class Program:
    """What a `RewardEngine` does with an expression, without any state.

    Attributes:
        readers: the distinct terms and models, each after those that it reads.
        terms: the terms among them, in order (N of them); the parts of a step are in that order.
        models: the models among them, in order.
        term_names: names of the terms.
        row_names: names of all numbers that are measured of a step: the terms', then their items' (N' of them).
        rows: of every term, its row; or, if it has items, its row and theirs.
        model_names: names of the models.
        addends: what stands in the books: the contributions that add up to the shaped reward, then what is only logged.
        addend_names: names of what stands in the books (K of them): of the addends, and behind them of the terms' items.
        num_paid: how many of them, from the first, add up to the shaped reward.
        evaluators: one for each name in the books.
        inputs: of every reader, in the order of `readers`.
        episodic_nodes: the nodes that need whole episodes, in the order of their carries.
        replays: of every term: how its stored parts are obtained again.
        goes_stale: of every term, whether the reward of a stored transition needs its part as it is now.
        late: of every term, whether its part is known only after something was fitted.

    Raises:
        ShapingError: if a node cannot be used with ``spec``.
    """

    def __init__(self, expression: Expression, spec: Spec) -> None:
        if not isinstance(expression, Expression):
            raise ExpressionError(
                f"A reward is an expression such as TaskReward() + Potential(...), got {expression!r}."
            )
        self.spec = spec
        self.readers = readers_of(expression)
        self.terms = tuple(node for node in self.readers if isinstance(node, Term))
        self.models = tuple(node for node in self.readers if isinstance(node, Model))
        self._names = named_readers(expression)
        self.term_names = tuple(map(self.name_of, self.terms))
        self.model_names = tuple(map(self.name_of, self.models))
        self._check_reading()
        self.addends = addends_of(expression)
        self.num_paid = len(paid_addends(expression))
        self.addend_names = part_names(self.addends)
        self.episodic = is_episodic(expression)
        self.episodic_nodes: list[EpisodicCombinator] = []
        self.evaluators = [self._compile(node if node.paid else node.children[0]) for node in self.addends]
        self._enter_items()
        self.inputs: list[list[Input]] = [
            [self._input(node) for node in reader.inputs] for reader in self.readers
        ]
        self.replays = tuple(map(replay_of, self.terms))
        self.late = tuple(map(reads_learned, self.terms))
        again = set(read_again(expression))
        self.goes_stale = tuple(
            term in again and replay is Replay.FROZEN
            for term, replay in zip(self.terms, self.replays, strict=True)
        )

    def name_of(self, reader: Term | Model) -> str:
        """Return what a term or model is called."""
        return self._names[reader]

    def fresh_carries(self, num_lanes: int) -> list[State]:
        """Return what episodic nodes remember at first."""
        return [node.carry(num_lanes) for node in self.episodic_nodes]

    def _enter_items(self) -> None:
        """Book the items of terms behind everything else: in the part's place where its term is all that the part is made of."""
        self.row_names = self.term_names
        self.rows: list[int | list[int]] = list(range(len(self.terms)))
        weighted = [
            (*node.factors(), name) for node, name in zip(self.addends, self.addend_names, strict=True)
        ]
        for place, (term, name) in enumerate(zip(self.terms, self.term_names, strict=True)):
            if not (items := term.items):
                continue
            of_items = range(len(self.row_names), len(self.row_names) + len(items))
            self.rows[place] = [place, *of_items]
            self.row_names += tuple(f"{name}/{item}" for item in items)
            alone = ((factor, called) for factor, of, called in weighted if of == (term,))
            factor, called = next(alone, (1.0, name))
            self.addend_names += tuple(f"{called}/{item}" for item in items)
            self.evaluators += [_row(factor, row) for row in of_items]

    def _compile(self, node: Node) -> Evaluator:
        """Return a closure that evaluates ``node``, so that a step does not walk the tree."""
        if isinstance(node, Term):
            index = self.terms.index(node)
            return lambda parts, episodes, carries: parts[index]
        if not isinstance(node, Combinator):
            raise ExpressionError(
                f"{type(node).__name__} is neither a Term nor a Combinator, so it has no value at a step."
            )
        node.check(self.spec)
        children = [self._compile(child) for child in node.children]
        if isinstance(node, EpisodicCombinator) and node.episodic:
            position = len(self.episodic_nodes)
            self.episodic_nodes.append(node)
            block = node.combine_block

            def evaluate_block(parts: Parts, episodes: Episodes | None, carries: list[State]) -> Array:
                if episodes is None:
                    raise HindsightError(
                        f"{type(node).__name__} needs whole episodes; this value is needed at once."
                    )
                return block(
                    [child(parts, episodes, carries) for child in children], episodes, carries[position]
                )

            return evaluate_block
        combine = node.combine
        return lambda parts, episodes, carries: combine(
            [child(parts, episodes, carries) for child in children]
        )

    def _input(self, node: Node) -> Input:
        if isinstance(node, Model):
            index = self.models.index(node)
            return lambda parts, outputs: outputs[index]
        evaluate = self._compile(node)
        return lambda parts, outputs: evaluate(parts, None, [])

    def _check_reading(self) -> None:
        declared = self.spec.features
        for reader in self.readers:
            kind = "Term" if isinstance(reader, Term) else "Model"
            if reader.learned and reader.fits_on == "episodes" and any(map(reads_recurrent, reader.inputs)):
                raise ExpressionError(
                    f"{kind} {self.name_of(reader)!r} learns from whole episodes and reads a recurrent model, which is evaluated "
                    "step by step. Let it read a model that is not recurrent."
                )
            if reader.looks != "after" and reader.of_step:
                raise ExpressionError(
                    f"{kind} {self.name_of(reader)!r} compares states, and {reader.of_step[0]!r} describes the step between "
                    "them: it is the same on neither side. Pay for it with StateReward, Event (trigger='level') or Compare, such "
                    "as Compare('action', '!=', 'previous_action')."
                )
            for feature in (*reader.reads, *reader.reads_before):
                if declared is not None and path_in(declared, feature) is None:
                    raise FeatureError(
                        f"{kind} {self.name_of(reader)!r} reads the feature {feature!r}, which this environment does not provide."
                        f"{suggest(feature, names_in(declared))}"
                    )


def _row(factor: float, row: int) -> Evaluator:
    """A number that is measured, as it stands in the books."""
    if factor == 1:
        return lambda parts, episodes, carries: parts[row]
    return lambda parts, episodes, carries: factor * parts[row]


class Outputs:
    """What the models make of one batch of transitions: each is evaluated when it is first read, and once.

    Args:
        program: the expression.
        memories: of its models.
        says: what of each model is called with transitions, memory and inputs: it evaluates, and a recurrent one observes first.
        transitions: the batch.
        parts: of the terms on it, as far as they are known.
        steps: that the batch is made of, one after the other, where it is more than one: a recurrent model goes through them.
    """

    def __init__(
        self,
        program: Program,
        memories: list[Memory],
        says: list[Callable[..., Mapping[str, np.ndarray]]],
        transitions: Transitions,
        parts: Parts,
        steps: Sequence[Transitions] = (),
    ) -> None:
        self._program = program
        self._memories = memories
        self._says = says
        self._transitions = transitions
        self._parts = parts
        self._steps = steps
        self._known: dict[int, Named] = {}

    def __getitem__(self, index: int) -> Named:
        if index not in self._known:
            program = self._program
            model = program.models[index]
            inputs = [get(self._parts, self) for get in program.inputs[program.readers.index(model)]]
            say = self._step_by_step if model.recurrent and self._steps else self._at_once
            outputs = say(index, inputs)
            self._check(program.model_names[index], model, outputs)
            self.know(index, outputs)
        return self._known[index]

    @property
    def recurrent(self) -> dict[str, dict[str, np.ndarray]]:
        """What recurrent models have said, by their names: nobody can ask them again."""
        return {
            said.model: dict(said)
            for index, said in self._known.items()
            if self._program.models[index].recurrent
        }

    def know(self, index: int, outputs: Mapping[str, np.ndarray]) -> None:
        """Take ``outputs`` for what a model makes of the batch."""
        self._known[index] = Named(self._program.model_names[index], outputs)

    def _at_once(self, index: int, inputs: list[Any]) -> Mapping[str, np.ndarray]:
        return self._says[index](self._transitions, self._memories[index], *inputs)

    def _step_by_step(self, index: int, inputs: list[Any]) -> Mapping[str, np.ndarray]:
        said, start = [], 0
        for step in self._steps:
            rows = slice(start, start := start + step.num_lanes)
            values = [tree_take(value, rows) for value in inputs]
            said.append(self._says[index](step, self._memories[index], *values))
        return {name: np.concatenate([outputs[name] for outputs in said]) for name in said[0]}

    def evaluate(self, model: Model) -> None:
        """Let a model judge the batch as it is now, whatever it learns before it is read."""
        self[self._program.models.index(model)]

    def _check(self, name: str, model: Model, outputs: Mapping[str, np.ndarray]) -> None:
        if set(outputs) != set(model.outputs):
            raise LearningError(
                f"Model {name!r} declares the outputs {', '.join(model.outputs)} and returned {', '.join(outputs) or 'none'}."
            )
        active = self._transitions.active
        for key, values in outputs.items():
            if len(values) != len(active):
                raise LearningError(
                    f"Model {name!r}: the output {key!r} has shape {np.shape(values)}; it needs one row for each of {len(active)} "
                    "transitions."
                )
            if not (np.isfinite(values).all() or np.isfinite(values[active]).all()):
                raise LearningError(
                    f"Model {name!r}: the output {key!r} is not finite. Its parameters may have diverged (lower the learning "
                    "rate), or what it reads is not finite or far from unit scale."
                )


def said_by(
    model: Model, wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda method: method
) -> Callable[..., Mapping[str, np.ndarray]]:
    """Return what evaluates a model on transitions that just happened: a recurrent one observes them first."""
    evaluate = wrap(model.evaluate)
    if not model.recurrent:
        return evaluate
    observe = wrap(model.observe)

    def say(transitions: Transitions, memory: Memory, *inputs: Any) -> Mapping[str, np.ndarray]:
        observe(transitions, memory, *inputs)
        said: Mapping[str, np.ndarray] = evaluate(transitions, memory, *inputs)
        return said

    return say


class Named(dict[str, np.ndarray]):
    """The outputs of a model; asking for another is a typed error."""

    def __init__(self, model: str, outputs: Mapping[str, np.ndarray]) -> None:
        super().__init__(outputs)
        self.model = model

    def __missing__(self, key: str) -> np.ndarray:
        raise UnknownNameError(f"The model {self.model!r} has no output {key!r}.{suggest(key, self)}")
