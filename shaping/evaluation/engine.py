"""The engine: evaluates one expression, for every surface.

It alone owns the terms' states, the clock, the order of evaluation, the screening of parts and the books. A surface translates its
API into `Transitions` and calls

* `RewardEngine.step` where a reward must be paid at once (Gymnasium, vector, SB3 VecEnv, PettingZoo), or
* `RewardEngine.measure` when a step happens and `RewardEngine.combine` when its reward is needed (rollout and replay buffers),
  with `RewardEngine.remeasure` in between for stored transitions whose parts have moved on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from shapegym.shaping.errors import (
    ExpressionError,
    FeatureError,
    HindsightError,
    NonFiniteError,
    ObservationError,
    suggest,
)
from shapegym.shaping.evaluation.experience import Experience
from shapegym.shaping.evaluation.ledger import EpisodeRecord, Ledger
from shapegym.shaping.evaluation.tape import Tape
from shapegym.shaping.kernels.accounting import screen_parts
from shapegym.shaping.transitions import Array, Episodes, Spec, State, Transitions
from shapegym.shaping.tree import addends_of, is_episodic, part_names, terms_of
from shapegym.shaping.types import Combinator, EpisodicCombinator, Expression, Replay, Term

LEARN_EVERY = 128
"""Steps between two fits of learned terms, where nothing else says when."""

Parts: TypeAlias = Any
"""Values by term: an (N, ...) array, or a list of N arrays or tensors."""

Wrap: TypeAlias = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""(part name, method of its term) -> what is called instead."""

Evaluator: TypeAlias = Callable[[Parts, Episodes | None, list[State]], Array]
"""(parts by term, episodes of the block or None for one step, carries) -> value of the node."""


class RewardEngine:
    """Evaluates ``expression`` over the transitions of ``spec.num_lanes`` lanes.

    Args:
        expression: the reward.
        spec: what it is bound to.
        on_nonfinite: a NaN or infinite part is an error ("raise"), or counts as 0 with one warning a term ("zero").
        pay_at_end: allow episodic nodes in `step` by paying each episode's sum of an episodic addend at its last step, and 0
            before. A different algorithm from the retroactive one: credit arrives late. Off by default.

    Attributes:
        terms: the distinct terms, in order of evaluation (N of them).
        term_names: their names.
        addends: names of the contributions that add up to the shaped reward (K of them).
        episodic: whether some reward is known only in hindsight.
        states: the terms' states, in order.
        clock: active transitions measured so far (the global step).
        learn_every: steps between two fits of learned terms; None leaves it to `learn`.
        experience: what learned terms were not fitted to yet; None if there are none.
        fitted: what the last fit of each learned term reported, by "<term>/<number>".
        reads: features the terms read from the successor.
        reads_before: features the terms read from the state before.

    Raises:
        ShapingError: if a term cannot be measured on this environment.
    """

    def __init__(
        self,
        expression: Expression,
        spec: Spec,
        *,
        on_nonfinite: Literal["raise", "zero"] = "raise",
        pay_at_end: bool = False,
    ) -> None:
        if not isinstance(expression, Expression):
            raise ExpressionError(
                f"A reward is an expression such as TaskReward() + Potential(...), got {expression!r}."
            )
        if on_nonfinite not in ("raise", "zero"):
            raise ExpressionError(f"on_nonfinite must be 'raise' or 'zero', got {on_nonfinite!r}.")
        self.expression = expression
        self.spec = spec
        self.on_nonfinite = on_nonfinite
        self.terms = terms_of(expression)
        self.term_names = part_names(self.terms)
        self._check_features()
        self._addend_nodes = addends_of(expression)
        self.addends = part_names(self._addend_nodes)
        self.episodic = is_episodic(expression)
        self.clock = 0
        self.states = [term.init(spec) for term in self.terms]
        self._episodic_nodes: list[EpisodicCombinator] = []
        self._evaluators = [self._compile(node) for node in self._addend_nodes]
        self._inputs = [[self._compile(node) for node in term.inputs] for term in self.terms]
        self.carries = self._fresh_carries(spec.num_lanes)
        self.ledger = Ledger(self.addends, spec.num_lanes)
        self._parts = np.zeros((len(self.terms), spec.num_lanes))
        self.learn_every: int | None = LEARN_EVERY
        self.experience = Experience() if any(term.learned for term in self.terms) else None
        self.fitted: dict[str, float] = {}
        self.instrument()
        self._contributions = np.zeros((len(self.addends), spec.num_lanes))
        self._lanes = (spec.num_lanes,)
        self._is_plain = self._addend_nodes == self.terms
        self._warned: set[str] = set()
        self._heard: set[int] = set()
        self.tape = Tape(len(self.terms), spec.num_lanes) if self.episodic and pay_at_end else None

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the features that terms read from ``next_features``."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.reads))

    @property
    def reads_before(self) -> tuple[str, ...]:
        """Names of the features that terms read from ``features``."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.reads_before))

    def require_online(self, surface: str) -> None:
        """Check that rewards can be paid at once.

        Raises:
            HindsightError: if the expression is episodic and ``pay_at_end`` was not asked for.
        """
        if self.episodic and self.tape is None:
            nodes = ", ".join(sorted({type(node).__name__ for node in self._episodic_nodes}))
            raise HindsightError(
                f"{surface} pays each reward at once, but {nodes} decides about a step only after later steps. Use a surface with "
                "hindsight: shapegym.wire(model, expression) on an SB3 algorithm (its rollout or replay buffer). Or pass "
                "pay_at_end=True, which pays an episode's sum at its last step: a different algorithm, with late credit."
            )

    def instrument(self, wrap: Wrap = lambda _, method: method) -> None:
        """Call the terms' methods through ``wrap``, such as a stopwatch; without an argument, directly again.

        Args:
            wrap: gets every method once, now, so that steps pay only for what it returns.
        """
        named = list(zip(self.term_names, self.terms, strict=True))
        self._plan = [
            (
                index,
                wrap(name, term.measure),
                wrap(name, term.observe) if type(term).observe is not Term.observe else None,
                self._inputs[index],
            )
            for index, (name, term) in enumerate(named)
        ]
        self._remeasures = [wrap(name, term.remeasure) for name, term in named]

    # ------------------------------------------------------------------ when a transition happens

    def measure(self, transitions: Transitions) -> np.ndarray:
        """Return the parts (N, B) of transitions that just happened, and advance states and clock.

        The array is reused by the next call.

        Raises:
            NonFiniteError: for a NaN or infinite part of an active row, if ``on_nonfinite="raise"``. The terms have observed the
                step by then but it is not paid: load a saved state before going on.
        """
        transitions.clock = self.clock
        parts = self._parts
        lanes = self._lanes
        for (index, measure, observe, inputs), state in zip(self._plan, self.states, strict=True):
            if inputs:
                values = [evaluate(parts, None, self.carries) for evaluate in inputs]
                if observe is not None:
                    observe(transitions, state, *values)
                value = measure(transitions, state, *values)
            else:  # most terms: a call without unpacking
                if observe is not None:
                    observe(transitions, state)
                value = measure(transitions, state)
            if value.shape != lanes:
                self._reject_shape(index, value)
            parts[index] = value
        count = screen_parts(parts, transitions.active)
        if count < 0:
            count = self._handle_nonfinite(parts, transitions)
        self.clock += count
        if self.experience is not None and count:
            self.experience.append(transitions, parts)
            if self.learn_every is not None and len(self.experience) >= self.learn_every:
                self.learn()
        return parts

    def learn(self) -> np.ndarray:
        """Fit the learned terms to their experience and forget it; return its parts, (N, M), those of FROZEN learned terms anew.

        Only for expressions with learned terms, after at least one active transition.
        """
        assert self.experience is not None  # noqa: S101  # said above
        batch, parts = self.experience.batch(self.clock)
        self.experience.clear()
        for index, (name, term) in enumerate(zip(self.term_names, self.terms, strict=True)):
            if term.learned:
                inputs = [evaluate(parts, None, self.carries) for evaluate in self._inputs[index]]
                numbers = term.fit(batch, self.states[index], *inputs)
                self.fitted |= {f"{name}/{key}": float(value) for key, value in numbers.items()}
                if term.replay is Replay.FROZEN:
                    parts[index] = self._remeasures[index](batch, self.states[index], *inputs)
        if screen_parts(parts, batch.active) < 0:
            self._handle_nonfinite(parts, batch)
        return parts

    def step(self, transitions: Transitions) -> tuple[np.ndarray, np.ndarray, list[EpisodeRecord]]:
        """Pay for transitions that just happened.

        Returns:
            The shaped rewards (B,), the contribution of each addend (K, B) (reused by the next call), and the finished episodes.
        """
        clock = self.clock
        parts = self.measure(transitions)
        contributions = self._contributions
        if self._is_plain:  # a plain sum of terms, the most common expression
            contributions[:] = parts
        elif self.tape is None:
            for index, evaluate in enumerate(self._evaluators):
                contributions[index] = evaluate(parts, None, self.carries)
        else:
            self._pay_at_end(self.tape, parts, transitions)
        shaped, records = self.ledger.post_step(contributions, transitions, clock)
        return shaped, contributions, records

    # ------------------------------------------------------------------ when a reward is needed

    def combine(self, parts: Parts, episodes: Episodes, *, fresh: bool = False) -> list[Array]:
        """Return the contribution (T, B) of each addend, from the parts (T, B) of each term.

        Args:
            parts: by term, each (T, B): an (N, T, B) array or a list of arrays or tensors.
            episodes: the block's segments.
            fresh: the block holds whole episodes (a replayed one); otherwise it continues the blocks combined before.
        """
        num_lanes = episodes.first.shape[1]
        carries = self._fresh_carries(num_lanes) if fresh else self.carries
        return [evaluate(parts, episodes, carries) for evaluate in self._evaluators]

    def settle(
        self,
        parts: np.ndarray,
        task: np.ndarray,
        episodes: Episodes,
        clock: int,
        success: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, list[EpisodeRecord]]:
        """Combine the next block of a run, (N, T, B), and keep its books.

        Returns:
            What each addend pays (K, T, B), the shaped rewards (T, B), and the finished episodes.
        """
        if self.tape is None:
            contributions = np.stack([np.broadcast_to(c, task.shape) for c in self.combine(parts, episodes)])
            self._warn()
        else:
            contributions = np.empty((len(self.addends), *task.shape))
            for t in range(len(task)):
                self._pay_at_end(self.tape, parts[:, t], episodes.at(t))
                contributions[:, t] = self._contributions
        return contributions, *self.ledger.post(contributions, task, episodes, clock, success)

    def pay(self, parts: np.ndarray, episodes: Episodes | None = None) -> np.ndarray:
        """Return the shaped rewards of replayed parts: (N, B) elementwise, or whole episodes (N, T, B). Keeps no books."""
        carries = self._fresh_carries(episodes.first.shape[1]) if episodes is not None else self.carries
        total = self._evaluators[0](parts, episodes, carries)
        for evaluate in self._evaluators[1:]:
            total = total + evaluate(parts, episodes, carries)
        return np.broadcast_to(total, parts.shape[1:])

    def remeasure(
        self, transitions: Transitions, parts: np.ndarray, *, relabelled: bool = False
    ) -> np.ndarray:
        """Return the parts (N, B) that stored transitions have now; changes no state.

        Frozen terms are measured again with the statistics and the clock of now, stamped ones keep ``parts``. Pure ones are
        measured again only if the transitions were ``relabelled`` (a virtual goal).
        """
        transitions.clock = self.clock
        again = {Replay.FROZEN, Replay.RECOMPUTE} if relabelled else {Replay.FROZEN}
        fresh = np.array(parts, dtype=np.float64)
        for index, term in enumerate(self.terms):
            if term.replay in again:
                inputs = [evaluate(fresh, None, self.carries) for evaluate in self._inputs[index]]
                fresh[index] = self._remeasures[index](transitions, self.states[index], *inputs)
        if screen_parts(fresh, transitions.active) < 0:
            self._handle_nonfinite(fresh, transitions)
        return fresh

    @property
    def moves(self) -> bool:
        """Whether stored parts go out of date: some term is FROZEN."""
        return any(term.replay is Replay.FROZEN for term in self.terms)

    @property
    def moving(self) -> dict[str, float]:
        """What every FROZEN term measured last, on average over the lanes: a multiplier, a trust, the arm of a bandit, by name."""
        named = zip(self.term_names, self.terms, self._parts, strict=True)
        return {name: float(values.mean()) for name, term, values in named if term.replay is Replay.FROZEN}

    # ------------------------------------------------------------------ state

    def state_dict(self) -> State:
        """Return everything the engine remembers, as nested plain values (see `shapegym.shaping.files.state_files`)."""
        return {
            "clock": self.clock,
            "terms": dict(zip(self.term_names, self.states, strict=True)),
            "carries": {str(index): carry for index, carry in enumerate(self.carries)},
            "ledger": self.ledger.state_dict(),
            "tape": {} if self.tape is None else self.tape.state_dict(),
            "experience": {} if self.experience is None else self.experience.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict` of an engine with an equal expression and as many lanes."""
        self.clock = int(state["clock"])
        self.states = [state["terms"][name] for name in self.term_names]
        self.carries = [state["carries"][str(index)] for index in range(len(self.carries))]
        self.ledger.load_state_dict(state["ledger"])
        if self.tape is not None:
            self.tape.load_state_dict(state["tape"])
        if self.experience is not None:
            self.experience.load_state_dict(state["experience"])

    # ------------------------------------------------------------------ inside

    def _compile(self, node: Expression) -> Evaluator:
        """Return a closure that evaluates ``node``, so that a step does not walk the tree."""
        if isinstance(node, Term):
            index = self.terms.index(node)
            return lambda parts, episodes, carries: parts[index]
        if not isinstance(node, Combinator):
            raise ExpressionError(f"{type(node).__name__} is neither a Term nor a Combinator.")
        node.check(self.spec)
        children = [self._compile(child) for child in node.children]
        if isinstance(node, EpisodicCombinator) and node.episodic:
            position = len(self._episodic_nodes)
            self._episodic_nodes.append(node)
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

    def _fresh_carries(self, num_lanes: int) -> list[State]:
        return [node.carry(num_lanes) for node in self._episodic_nodes]

    def _pay_at_end(self, tape: Tape, parts: np.ndarray, transitions: Transitions | Episodes) -> None:
        """Elementwise addends now; an episodic addend's sum over the episode at its last step."""
        tape.append(parts, transitions)
        for index, (node, evaluate) in enumerate(zip(self._addend_nodes, self._evaluators, strict=True)):
            self._contributions[index] = 0.0 if is_episodic(node) else evaluate(parts, None, self.carries)
        lanes = np.flatnonzero((transitions.terminated | transitions.truncated) & transitions.active)
        if not len(lanes):
            return
        block, episodes = tape.close(lanes, transitions.terminated[lanes])
        carries = self._fresh_carries(len(lanes))
        for carry, kept in zip(carries, self.carries, strict=True):
            carry.update({"run": kept["run"]} if "run" in kept else {})
        for index, (node, evaluate) in enumerate(zip(self._addend_nodes, self._evaluators, strict=True)):
            if is_episodic(node):
                paid = evaluate(block, episodes, carries)
                self._contributions[index, lanes] = np.where(episodes.active, paid, 0.0).sum(axis=0)
        self._warn()

    def _warn(self) -> None:
        """Say what episodic nodes have to say, each once."""
        for position, (node, carry) in enumerate(zip(self._episodic_nodes, self.carries, strict=True)):
            if position not in self._heard and (message := node.warning(carry)):
                self._heard.add(position)
                warnings.warn(message, RuntimeWarning, stacklevel=3)

    def _check_features(self) -> None:
        declared = self.spec.features
        if declared is None:
            return
        for term, name in zip(self.terms, self.term_names, strict=True):
            for feature in (*term.reads, *term.reads_before):
                if feature not in declared:
                    raise FeatureError(
                        f"Term {name!r} reads the feature {feature!r}, which this environment does not provide."
                        f"{suggest(feature, declared)}"
                    )

    def _reject_shape(self, index: int, value: np.ndarray) -> None:
        raise ObservationError(
            f"Term {self.term_names[index]!r} measured an array of shape {np.shape(value)}; it must be one number a lane, "
            f"shape ({self.spec.num_lanes},)."
        )

    def _handle_nonfinite(self, parts: np.ndarray, transitions: Transitions) -> int:
        bad = ~np.isfinite(parts) & transitions.active
        index, lane = map(int, np.argwhere(bad)[0])
        name = self.term_names[index]
        message = (
            f"Part {name!r} is {parts[index, lane]} in lane {lane} at global step {self.clock} "
            f"({int(bad.sum())} such value(s) in this batch)."
        )
        if self.on_nonfinite == "raise":
            raise NonFiniteError(f"{message} Fix the term or its features, or bind with on_nonfinite='zero'.")
        for row in np.flatnonzero(bad.any(axis=1)):
            if self.term_names[row] not in self._warned:
                self._warned.add(self.term_names[row])
                warnings.warn(
                    f"{message} Counted as 0; later ones of this term are not reported.",
                    RuntimeWarning,
                    stacklevel=3,
                )
        parts[bad] = 0.0
        return int(np.count_nonzero(transitions.active))
