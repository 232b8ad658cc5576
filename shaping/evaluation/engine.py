"""The engine: evaluates one expression, for every surface.

It alone owns states, the clock, the screening of parts and the books. A surface translates its API into `Transitions` and calls

* `RewardEngine.step` where a reward must be paid at once (Gymnasium, vector, SB3 VecEnv, PettingZoo), or
* `RewardEngine.measure` when a step happens and `RewardEngine.combine` when its reward is needed (rollout and replay buffers),
  with `RewardEngine.remeasure` in between for stored transitions whose parts have moved on.

What learns is fitted every ``learn_every`` steps, and what is paid at once is paid by what was fitted before. A rollout buffer can
wait: with ``learn_every=None`` the parts of whatever learns are left out of `measure`, and `learn` fits to the whole block and
measures it once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal, TypeAlias

import numpy as np

from shapegym.shaping.errors import (
    ExpressionError,
    HindsightError,
    LearningError,
    ObservationError,
    StateFileError,
    said_as,
)
from shapegym.shaping.evaluation.admission import obstacles
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.evaluation.asking import Asking
from shapegym.shaping.evaluation.ledger import EpisodeRecord, Ledger
from shapegym.shaping.evaluation.measured import MeasuredBlock, at_step
from shapegym.shaping.evaluation.previous import PreviousActions
from shapegym.shaping.evaluation.program import Outputs, Parts, Program, said_by
from shapegym.shaping.evaluation.recorder import Recorder
from shapegym.shaping.evaluation.tape import Tape, pay_at_end
from shapegym.shaping.evaluation.watch import Watch
from shapegym.shaping.evaluation.worlds import require_common_ends
from shapegym.shaping.kernels.accounting import screen_parts
from shapegym.shaping.promises import Replay
from shapegym.shaping.transitions import LOG_PROB, Array, Episodes, Spec, State, Transitions
from shapegym.shaping.types import Expression, Memory, Model, Term

LEARN_EVERY = 128
"""Steps between two fits of what learns, where rewards are paid at once and nothing else is asked for."""

Wrap: TypeAlias = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""(part or model name, method of its term or model) -> what is called instead."""


class RewardEngine:
    """Evaluates ``expression`` over the transitions of ``spec.num_lanes`` lanes.

    Args:
        expression: the reward.
        spec: what it is bound to.
        on_nonfinite: a NaN or infinite part is an error ("raise"), or counts as 0 with one warning a term ("zero").
        pay_at_end: allow episodic nodes in `step` by paying each episode's sum of an episodic addend at its last step, and 0
            before. A different algorithm from the retroactive one: credit arrives late. Off by default.
        learn_every: steps between two fits of what learns; None, for good, leaves it to `learn`, and the parts that depend on it.
        answers: the correspondence of nodes that ask an annotator; by default with the annotator that one of them names, and a log
            in memory.

    Attributes:
        program: the expression taken apart.
        terms: the distinct terms, in order of evaluation (N of them).
        term_names: their names.
        addends: names of what stands in the books (K of them): the contributions that add up to the shaped reward, and behind them
            what is only logged, the items of terms among it.
        episodic: whether some reward is known only in hindsight.
        states: the terms' states, in order.
        memories: what the models remember, in the order of ``program.models``.
        clock: active transitions measured so far (the global step).
        previous: the actions before, for terms that read them.
        fitted: what the last fit of each model and learned term reported, by "<name>/<number>".
        reads: features that are read from the successor.
        reads_before: features that are read from the state before.

    Raises:
        ShapingError: if a term or model cannot be used on this environment.
    """

    def __init__(
        self,
        expression: Expression,
        spec: Spec,
        *,
        on_nonfinite: Literal["raise", "zero"] = "raise",
        pay_at_end: bool = False,
        learn_every: int | None = LEARN_EVERY,
        answers: Correspondence | None = None,
    ) -> None:
        if on_nonfinite not in ("raise", "zero"):
            raise ExpressionError(f"on_nonfinite must be 'raise' or 'zero', got {on_nonfinite!r}.")
        if learn_every is not None and (type(learn_every) is not int or learn_every < 1):
            raise ExpressionError(
                f"learn_every is a number of steps, an integer of at least 1, got {learn_every!r}."
            )
        self.program = program = Program(expression, spec)
        self.expression, self.spec = expression, spec
        self.on_nonfinite, self.learn_every = on_nonfinite, learn_every
        self.terms, self.term_names = program.terms, program.term_names
        self.addends, self.episodic = program.addend_names, program.episodic
        self.clock = 0
        self.states: list[State] = [term.init(spec) for term in self.terms]
        self.memories: list[Memory] = [model.init(spec) for model in program.models]
        self.carries = program.fresh_carries(spec.num_lanes)
        self.previous = PreviousActions((name for reader in program.readers for name in reader.of_step), spec)
        self.ledger = Ledger(self.addends, spec.num_lanes, program.num_paid)
        learned = [reader for reader in program.readers if reader.learned]
        whole_episodes = any(reader.fits_on == "episodes" for reader in learned)
        read = {entry for reader in program.readers for entry in reader.entries}
        self._recorder = (
            Recorder(spec.num_lanes, entries=read, whole_episodes=whole_episodes) if learned else None
        )
        self.fitted: dict[str, float] = {}
        self._asking = Asking(program, answers)
        self._asks = bool(self._asking)
        self.tape = Tape(len(program.row_names), spec.num_lanes) if self.episodic and pay_at_end else None
        self._parts = self._latest = np.zeros((len(program.row_names), spec.num_lanes))
        self._contributions = np.zeros((len(self.addends), spec.num_lanes))
        looks = any(term.sees_world for term in self.terms)
        self._worlds = spec.world_of_lane if looks and spec.worlds else None
        self._is_plain = program.addends == self.terms and program.row_names == program.addend_names
        self._watch = Watch(program, pays_at_end=self.tape is not None)
        self.instrument()

    @property
    def logged(self) -> tuple[str, ...]:
        """Names of what is only logged."""
        return self.addends[self.program.num_paid :]

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the features that are read from ``next_features``."""
        return tuple(dict.fromkeys(name for reader in self.program.readers for name in reader.reads))

    @property
    def reads_before(self) -> tuple[str, ...]:
        """Names of the features that are read from ``features``."""
        return tuple(dict.fromkeys(name for reader in self.program.readers for name in reader.reads_before))

    def require_online(self, surface: str) -> None:
        """Check that rewards can be paid at once.

        Raises:
            HindsightError: if the expression is episodic and ``pay_at_end`` was not asked for.
            ExpressionError: if ``learn_every`` is None.
        """
        if self.learn_every is None:
            raise ExpressionError(
                f"{surface} pays each reward at once, so it must know when to fit what learns: learn_every is a number of steps, "
                "an integer of at least 1, got None."
            )
        if self.episodic and self.tape is None:
            nodes = ", ".join(sorted({type(node).__name__ for node in self.program.episodic_nodes}))
            raise HindsightError(
                f"{surface} pays each reward at once, but {nodes} decides about a step only after later steps. Use a surface with "
                "hindsight: shapegym.wire(model, expression) on an SB3 algorithm (its rollout or replay buffer). Or pass "
                "pay_at_end=True, which pays an episode's sum at its last step: a different algorithm, with late credit."
            )

    def instrument(self, wrap: Wrap = lambda _, method: method) -> None:
        """Call the methods of terms and models through ``wrap``, such as a stopwatch; without an argument, directly again.

        Args:
            wrap: gets every method once, now, so that steps pay only for what it returns.
        """
        program, lanes = self.program, (self.spec.num_lanes,)
        self._says = [
            said_by(model, lambda method, name=name: wrap(name, method))  # type: ignore[misc]
            for name, model in zip(program.model_names, program.models, strict=True)
        ]
        self._calls = [
            (
                index,
                program.rows[index],
                (1 + len(term.items), *lanes) if term.items else lanes,
                wrap(name, term.itemise if term.items else term.measure),
                wrap(name, term.observe) if type(term).observe is not Term.observe else None,
                program.inputs[program.readers.index(term)],
            )
            for index, (name, term) in enumerate(zip(self.term_names, self.terms, strict=True))
        ]
        self._plan = [
            call for call in self._calls if self.learn_every is not None or not program.late[call[0]]
        ]
        self._remeasures = [
            wrap(name, term.remeasure) for name, term in zip(self.term_names, self.terms, strict=True)
        ]
        self._fits = [wrap(program.name_of(reader), reader.fit) for reader in program.readers]

    # ------------------------------------------------------------------ when a transition happens

    def measure(self, transitions: Transitions) -> np.ndarray:
        """Return the parts (N, B) of transitions that just happened, items behind them, and advance states and clock.

        The array is reused by the next call. Parts that wait for `learn` are 0.

        Raises:
            NonFiniteError: for a NaN or infinite part of an active row, if ``on_nonfinite="raise"``. The terms have observed the
                step by then but it is not paid: load a saved state before going on.
            LearningError: if a model's outputs are not finite, or what learns comes to numbers that are not.
            WorldError: if lanes of one world end at different steps, and a term looks at worlds.
        """
        transitions.clock = self.clock
        if self.previous:
            self.previous.add_to(transitions)
        if self._worlds is not None:
            require_common_ends(self._worlds, transitions)
        if self._asks:
            self._asking.hear(self.clock, self._memory_of)
        parts = self._parts
        outputs = self._outputs(transitions, parts) if self.memories else None
        for index, rows, shape, measure, observe, inputs in self._plan:
            state = self.states[index]
            if inputs:
                values = [get(parts, outputs) for get in inputs]  # type: ignore[arg-type]
                if observe is not None:
                    observe(transitions, state, *values)
                value = measure(transitions, state, *values)
            else:  # most terms: a call without unpacking
                if observe is not None:
                    observe(transitions, state)
                value = measure(transitions, state)
            if value.shape != shape:
                self._reject_shape(index, value, shape)
            parts[rows] = value
        count: int = screen_parts(parts, transitions.active)
        if count < 0:
            count = self._screen(parts, transitions)
        if self._asks and count:
            self._asking.ask(self.clock, transitions, self._memory_of)
        self.clock += count
        if self._watch.waits and count:
            self._watch.see(transitions)
        if self._recorder is not None and count:
            self._recorder.append(transitions, parts, {} if outputs is None else outputs.recurrent)
            if self.learn_every is not None and len(self._recorder) >= self.learn_every:
                self.learn()
        return parts

    @property
    def waits(self) -> bool:
        """Whether parts wait for `learn`, so that a block must not be paid before."""
        return self.learn_every is None and self._recorder is not None

    @property
    def policy_readers(self) -> tuple[str, ...]:
        """Names of the terms and models that read what only the agent knows of its actions."""
        return tuple(map(self.program.name_of, (r for r in self.program.readers if r.reads_policy)))

    def hear_policy(self, log_probs: np.ndarray) -> None:
        """Take in the log-probabilities, (T, B), of the actions of all steps since the last `learn`, for what reads them."""
        assert self._recorder is not None  # noqa: S101  # what reads them waits for something that learns
        self._recorder.add_feature(LOG_PROB, log_probs)

    def learn(self) -> np.ndarray:
        """Fit what learns to the steps since the last call; return their parts, (N, T, B), now complete.

        Each model is evaluated once for all of them, after its own fit, or before it if it says so (`Model.judges_first`); a
        recurrent one step by step, unless it was when they happened. Where parts are paid at once they stay as they were paid.
        Only for expressions in which something learns, after at least one active transition.
        """
        recorder, program = self._recorder, self.program
        assert recorder is not None  # noqa: S101  # said above
        experience, kept, said = recorder.steps()
        block = MeasuredBlock(program, experience, kept, self._outputs, said)
        ended = recorder.episodes()
        episodes = None if ended is None else MeasuredBlock(program, *ended, self._outputs, {})
        for position, reader in enumerate(program.readers):
            learns_from = block if reader.fits_on == "steps" else episodes
            if reader.learned and learns_from is not None:
                if isinstance(reader, Model) and reader.judges_first:
                    block.outputs.evaluate(reader)
                inputs = learns_from.inputs(position)
                numbers = self._fits[position](learns_from.experience, self._memory_of(reader), *inputs)
                self._report(program.name_of(reader), numbers)
            if self.waits and isinstance(reader, Term) and program.late[index := self.terms.index(reader)]:
                self._catch_up(index, position, block)
        if self.waits:
            if screen_parts(block.flat, block.batch.active) < 0:
                self._screen(block.flat, block.batch)
            kept[...] = np.moveaxis(block.parts, 0, -1)
            self._latest = block.parts[:, -1]
        recorder.fitted()
        return block.parts

    def _catch_up(self, index: int, position: int, block: MeasuredBlock) -> None:
        """Measure a part that waited: at once with the state of now, or step by step where the order of experience counts."""
        _, rows, _, measure, observe, _ = self._calls[index]
        state, stamped = self.states[index], self.program.replays[index] is Replay.STAMP
        if stamped or observe is not None:
            inputs = block.inputs(position)
            for t, step in enumerate(block.steps):
                values = [at_step(value, t) for value in inputs]
                if observe is not None:
                    observe(step, state, *values)
                if stamped:
                    block.parts[rows, t] = measure(step, state, *values)
        if not stamped:
            block.batch.clock = self.clock
            again = self._remeasures[index] if type(rows) is int else measure
            block.flat[rows] = again(block.batch, state, *block.inputs(position, flat=True))

    def _outputs(self, transitions: Transitions, parts: Parts, steps: Sequence[Transitions] = ()) -> Outputs:
        return Outputs(self.program, self.memories, self._says, transitions, parts, steps)

    def _memory_of(self, reader: Term | Model) -> Any:
        if isinstance(reader, Model):
            return self.memories[self.program.models.index(reader)]
        return self.states[self.terms.index(reader)]

    def _report(self, name: str, numbers: Mapping[str, float]) -> None:
        for key, value in numbers.items():
            if not np.isfinite(value):
                raise LearningError(
                    f"The fit of {name!r} came to {key} = {value} at global step {self.clock}: it has diverged. Lower its learning "
                    "rate, bring what it reads to unit scale, or go on from a checkpoint before this step."
                )
            self.fitted[f"{name}/{key}"] = float(value)

    def step(self, transitions: Transitions) -> tuple[np.ndarray, np.ndarray, list[EpisodeRecord]]:
        """Pay for transitions that just happened.

        Returns:
            The shaped rewards (B,), the value of each addend (K, B) (reused by the next call), and the finished episodes.
        """
        clock = self.clock
        parts = self.measure(transitions)
        contributions = self._contributions
        if self._is_plain:  # a plain sum of terms, the most common expression
            contributions[:] = parts
        elif self.tape is None:
            for index, evaluate in enumerate(self.program.evaluators):
                contributions[index] = evaluate(parts, None, self.carries)
        else:
            self._pay_at_end(parts, transitions)
        shaped, records = self.ledger.post_step(contributions, transitions, clock)
        return shaped, contributions, records

    def abandon(self, lanes: np.ndarray) -> list[EpisodeRecord]:
        """Forget the open episodes of the lanes of a (B,) mask, which are reset before their end; return their books so far."""
        if self.tape is not None:
            self.tape.forget(lanes)
        return self.ledger.abandoned(np.flatnonzero(lanes), self.clock)

    # ------------------------------------------------------------------ when a reward is needed

    def combine(self, parts: Parts, episodes: Episodes, *, fresh: bool = False) -> list[Array]:
        """Return the contribution (T, B) of each addend, from the parts (T, B) of each term.

        Args:
            parts: by term, each (T, B): an (N, T, B) array or a list of arrays or tensors.
            episodes: the block's segments.
            fresh: the block holds whole episodes (a replayed one); otherwise it continues the blocks combined before.
        """
        num_lanes = episodes.first.shape[1]
        carries = self.program.fresh_carries(num_lanes) if fresh else self.carries
        return [evaluate(parts, episodes, carries) for evaluate in self.program.evaluators]

    def total(self, contributions: Sequence[Array]) -> Array:
        """Return the shaped reward that contributions add up to, without those that are only logged."""
        return reduce(add, contributions[: self.program.num_paid], 0.0)

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
            self._watch.listen(self.carries)
        else:
            contributions = np.empty((len(self.addends), *task.shape))
            for t in range(len(task)):
                self._pay_at_end(parts[:, t], episodes.at(t))
                contributions[:, t] = self._contributions
        return contributions, *self.ledger.post(contributions, task, episodes, clock, success)

    def pay(self, parts: np.ndarray, episodes: Episodes | None = None) -> np.ndarray:
        """Return the shaped rewards of replayed parts: (N, B) elementwise, or whole episodes (N, T, B). Keeps no books."""
        carries = (
            self.program.fresh_carries(episodes.first.shape[1]) if episodes is not None else self.carries
        )
        paid = [
            evaluate(parts, episodes, carries)
            for evaluate in self.program.evaluators[: self.program.num_paid]
        ]
        return np.broadcast_to(self.total(paid), parts.shape[1:])

    def remeasure(
        self, transitions: Transitions, parts: np.ndarray, *, relabelled: bool = False
    ) -> np.ndarray:
        """Return the parts (N, B) that stored transitions have now; changes no state.

        Frozen terms are measured again with the statistics and the clock of now, stamped ones keep ``parts``. Pure ones are
        measured again only if the transitions were ``relabelled`` (a virtual goal).
        """
        transitions.clock = self.clock
        fresh = np.array(parts, dtype=np.float64)
        outputs = self._outputs(transitions, fresh)
        for index, *_, inputs in self._calls:
            pure = self.program.replays[index] is Replay.RECOMPUTE
            if self.program.goes_stale[index] or (relabelled and pure):
                values = [get(fresh, outputs) for get in inputs]
                fresh[index] = self._remeasures[index](transitions, self.states[index], *values)
        if screen_parts(fresh, transitions.active) < 0:
            self._screen(fresh, transitions)
        return fresh

    @property
    def moves(self) -> bool:
        """Whether stored rewards go out of date: some term is FROZEN, and not only a stamped one reads it."""
        return any(self.program.goes_stale)

    @property
    def moving(self) -> dict[str, float]:
        """What every FROZEN term measured last, on average over the lanes: a multiplier, a trust, the arm of a bandit, by name."""
        named = zip(self.term_names, self.program.replays, self._latest, strict=False)  # items stand behind
        return {name: float(values.mean()) for name, replay, values in named if replay is Replay.FROZEN}

    # ------------------------------------------------------------------ state

    def state_dict(self) -> State:
        """Return everything the engine remembers now, as nested plain values (see `shapegym.shaping.files.state_files`).

        Nothing in it is shared with the engine: it is a snapshot.
        """
        return {
            "clock": self.clock,
            "terms": dict(zip(self.term_names, copy.deepcopy(self.states), strict=True)),
            "carries": {str(index): copy.deepcopy(carry) for index, carry in enumerate(self.carries)},
            "ledger": self.ledger.state_dict(),
            "tape": {} if self.tape is None else self.tape.state_dict(),
            "models": {
                name: memory.state_dict()
                for name, memory in zip(self.program.model_names, self.memories, strict=True)
            },
            "experience": {} if self._recorder is None else self._recorder.state_dict(),
            "answers": self._asking.state_dict(),
            **({"previous": self.previous.state_dict()} if self.previous else {}),
        }

    def load_state_dict(self, state: State, source: str = "The state") -> None:
        """Continue from `state_dict` of an engine with an equal expression and as many lanes.

        Raises:
            StateFileError: if it is none, or a model cannot continue from what is there; nothing has changed then. Begins with
                ``source``.
            AnnotationError: if the log of answers does not reach so far; nothing has changed then.
        """
        for obstacle in obstacles(self.program, state, self.state_dict()):
            raise StateFileError(f"{source} {obstacle}")
        memories = [model.init(self.spec) for model in self.program.models]
        # Torch and a stranger's model raise whatever the difference leads them to.
        with said_as(StateFileError, Exception, f"{source} does not fit this engine: "):
            if self._recorder is not None:
                named = zip(self.program.model_names, self.program.models, strict=True)
                outputs = {name: model.outputs for name, model in named if model.recurrent}
                self._recorder.check_state(state["experience"], len(self.program.row_names), outputs)
            if self.tape is not None:
                self.tape.check_state(state["tape"])
            for name, memory in zip(self.program.model_names, memories, strict=True):
                with said_as(StateFileError, Exception, f"{source} does not fit the model {name!r}: "):
                    memory.load_state_dict(state["models"][name])
        self._asking.load_state_dict(state["answers"])
        self.memories[:] = memories
        self.clock = int(state["clock"])
        self.states = [copy.deepcopy(state["terms"][name]) for name in self.term_names]
        self.carries = [copy.deepcopy(state["carries"][str(index)]) for index in range(len(self.carries))]
        self.ledger.load_state_dict(state["ledger"])
        if self.tape is not None:
            self.tape.load_state_dict(state["tape"])
        if self._recorder is not None:
            self._recorder.load_state_dict(state["experience"])
        if self.previous:
            self.previous.load_state_dict(state["previous"])

    def __getstate__(self) -> dict[str, Any]:
        """Return what makes an equal engine, and what this one remembers: its closures are made anew."""
        options = {
            "on_nonfinite": self.on_nonfinite,
            "pay_at_end": self.tape is not None,
            "learn_every": self.learn_every,
            "answers": self._asking.answers if self._asks else None,
        }
        return {"bound": (self.expression, self.spec), "options": options, "state": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["bound"], **state["options"])  # type: ignore[misc]
        self.load_state_dict(state["state"])

    # ------------------------------------------------------------------ inside

    def _pay_at_end(self, parts: np.ndarray, transitions: Transitions | Episodes) -> None:
        assert self.tape is not None  # noqa: S101  # asked by the caller
        pay_at_end(self.program, self.tape, parts, transitions, self.carries, self._contributions)
        self._watch.listen(self.carries)

    def _reject_shape(self, index: int, value: np.ndarray, shape: tuple[int, ...]) -> None:
        what = "one number a lane" if len(shape) == 1 else "its part and its items, a row each"
        raise ObservationError(
            f"Term {self.term_names[index]!r} measured an array of shape {np.shape(value)}; it must be {what}, shape {shape}."
        )

    def _screen(self, parts: np.ndarray, transitions: Transitions) -> int:
        return self._watch.screen(parts, transitions, self.clock, zero=self.on_nonfinite == "zero")
