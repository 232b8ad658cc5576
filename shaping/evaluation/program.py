"""An expression taken apart, once: what is measured in which order, and how parts become contributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

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
    paid_addends,
    part_names,
    read_again,
    readers_of,
    reads_learned,
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
        model_names: names of the models.
        addends: what stands in the books (K of them): the contributions that add up to the shaped reward, then what is only logged.
        addend_names: their names.
        num_paid: how many of them, from the first, add up to the shaped reward.
        evaluators: one for each addend.
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
        names = part_names((*self.terms, *self.models))
        self.term_names, self.model_names = names[: len(self.terms)], names[len(self.terms) :]
        self._check_reading()
        self.addends = addends_of(expression)
        self.num_paid = len(paid_addends(expression))
        self.addend_names = part_names(self.addends)
        self.episodic = is_episodic(expression)
        self.episodic_nodes: list[EpisodicCombinator] = []
        self.evaluators = [self._compile(node if node.paid else node.children[0]) for node in self.addends]
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
        if isinstance(reader, Term):
            return self.term_names[self.terms.index(reader)]
        return self.model_names[self.models.index(reader)]

    def fresh_carries(self, num_lanes: int) -> list[State]:
        """Return what episodic nodes remember at first."""
        return [node.carry(num_lanes) for node in self.episodic_nodes]

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


class Outputs:
    """What the models make of one batch of transitions: each is evaluated when it is first read, and once."""

    def __init__(
        self,
        program: Program,
        memories: list[Memory],
        evaluates: list[Callable[..., Any]],
        transitions: Transitions,
        parts: Parts,
    ) -> None:
        self._program = program
        self._memories = memories
        self._evaluates = evaluates
        self._transitions = transitions
        self._parts = parts
        self._known: dict[int, Named] = {}

    def __getitem__(self, index: int) -> Named:
        if index not in self._known:
            program = self._program
            model, name = program.models[index], program.model_names[index]
            inputs = [get(self._parts, self) for get in program.inputs[program.readers.index(model)]]
            outputs = self._evaluates[index](self._transitions, self._memories[index], *inputs)
            self._check(name, model, outputs)
            self._known[index] = Named(name, outputs)
        return self._known[index]

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
            if not np.isfinite(values[active]).all():
                raise LearningError(
                    f"Model {name!r}: the output {key!r} is not finite. Its parameters may have diverged (lower the learning "
                    "rate), or what it reads is not finite or far from unit scale."
                )


class Named(dict[str, np.ndarray]):
    """The outputs of a model; asking for another is a typed error."""

    def __init__(self, model: str, outputs: Mapping[str, np.ndarray]) -> None:
        super().__init__(outputs)
        self.model = model

    def __missing__(self, key: str) -> np.ndarray:
        raise UnknownNameError(f"The model {self.model!r} has no output {key!r}.{suggest(key, self)}")
