"""The compliance checks: what the contract promises of terms, combinators and models, tried out on recorded transitions."""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from shapegym.shaping.arrays import (
    tree_equal,
    tree_take,
)
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.testing.models import Complaints, complaints_of_model
from shapegym.shaping.testing.recording import Bench
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.testing.watched import Watched, taken
from shapegym.shaping.transitions import Episodes, State, Transitions
from shapegym.shaping.tree import models_of, replay_of
from shapegym.shaping.types import EpisodicCombinator, Expression, Model, Term, walk


class ComplianceError(AssertionError):
    """An expression or model that breaks a promise of the contract."""


def check_expression(
    expression: Expression,
    env: str | Callable[[], gym.Env[Any, Any]] = ScriptedEnv,
    *,
    lanes: int = 3,
    steps: int = 48,
    gamma: float | None = None,
    seed: int = 0,
    worlds: tuple[int, ...] = (),
) -> None:
    """Check an expression on transitions of ``env`` under random actions.

    What learns is fitted on the way; where a model is read, parts are compared to float32 tolerance, else to the last bit (or to
    1e-9 where lanes change places).

    Args:
        expression: the reward to check.
        env: a registered id, or a function that makes an environment; with the features that are read.
        lanes: environments stepped side by side.
        steps: transitions of each.
        gamma: the agent's discount, for potentials without one.
        seed: of environments, actions and terms.
        worlds: which lanes share a world, for terms that look at it.

    Raises:
        ComplianceError: if a part has the wrong shape or dtype or is not finite; measuring changes a state or its own result; rows
            that are no transitions are noticed; a stored batch measures differently than `Replay` says; rewards depend on a lane's
            position or on lanes of other worlds; what an episode is paid depends on where rollouts cut it; a fit fails, or reports
            what is no number; a saved state does not continue where it was; or pickling or a reward file changes the expression.
        ShapingError: if the expression cannot be bound to the environment.
    """
    for complaint in _complaints(
        expression, env, lanes=lanes, steps=steps, gamma=gamma, seed=seed, worlds=worlds
    ):
        raise ComplianceError(complaint)


def check_model(
    model: Model,
    env: str | Callable[[], gym.Env[Any, Any]] = ScriptedEnv,
    *,
    lanes: int = 3,
    steps: int = 48,
    gamma: float | None = None,
    seed: int = 0,
) -> None:
    """Check a model by itself, and a term that reads it; arguments as `check_expression`.

    Raises:
        ComplianceError: beside what `check_expression` says: if equal seeds begin differently, ``init`` draws from torch's or
            NumPy's global stream, outputs are not those declared or change with the batch by more than float32 rounding, equal fits
            come to different ends, rows that are no transitions are learned from, or what is remembered grows with every fit.
        ShapingError: if the model cannot be bound to the environment.
    """
    names = model.outputs
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ComplianceError(f"{model!r} must declare the names of its outputs, got {names!r}.")
    for name in names:
        check_expression(ModelOutput(model, name), env, lanes=lanes, steps=steps, gamma=gamma, seed=seed)


# ---------------------------------------------------------------------- one node at a time


def _complaints(
    expression: Expression, env: str | Callable[[], gym.Env[Any, Any]], **recording: Any
) -> Complaints:
    """Yield what is wrong. Nobody goes on after the first, so a check may rely on those before it."""
    yield from _check_copies(expression)
    bench = Bench.of(expression, env, **recording)
    for model in models_of(expression):
        yield from (f"{model!r}: {complaint}" for complaint in complaints_of_model(model, bench))
    yield from _check_terms(bench)
    yield from _check_fits(bench)
    yield from _check_idle_rows(bench)
    yield from _check_position(bench)
    yield from _check_cuts(bench)
    yield from _check_saved_state(bench)


def _check_copies(expression: Expression) -> Complaints:
    try:
        pickled = pickle.dumps(expression)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        yield f"{expression!r} cannot be pickled ({error}): define its classes and functions at the top of a module."
        return
    for what, twin in (
        ("Pickling", pickle.loads(pickled)),  # noqa: S301  (what was pickled here a moment ago)
        ("A reward file", from_data(to_data(expression))),
    ):
        if twin != expression or hash(twin) != hash(expression):
            yield f"{what} changes the expression: {expression!r} became {twin!r}."


def _check_terms(bench: Bench) -> Complaints:
    watched = Watched(bench)
    kept = []
    clock = 0
    for transitions in bench.stream:
        transitions.clock = clock
        parts = np.zeros((len(watched.states), transitions.num_lanes))
        for index, term, inputs in watched.readings(transitions, parts):
            term.observe(transitions, watched.states[index], *inputs)
            parts[index] = yield from _check_measure(term, transitions, watched.states[index], inputs)
        kept.append(parts)
        clock += int(transitions.active.sum())
    yield from _check_stored_batch(bench, watched, np.concatenate(kept, axis=1))


def _check_measure(
    term: Term, transitions: Transitions, state: State, inputs: list[Any]
) -> Generator[str, None, np.ndarray]:
    before = copy.deepcopy(state)
    part = np.array(term.measure(transitions, state, *inputs))
    again = term.measure(transitions, state, *inputs)
    if (
        not isinstance(again, np.ndarray)
        or again.shape != (transitions.num_lanes,)
        or again.dtype != np.float64
    ):
        got = f"{again.dtype} {again.shape}" if isinstance(again, np.ndarray) else repr(again)
        yield (
            f"{term!r}: measure must return float64 ({transitions.num_lanes},), one number a lane, got {got}."
        )
    if not np.isfinite(part[transitions.active]).all():
        yield f"{term!r}: measure returned {part}, which is not finite in every transition."
    if not np.array_equal(part, again, equal_nan=True):
        yield f"{term!r}: measuring the same transitions twice gave {part}, then {again}."
    if term.items:
        with_items = term.itemise(transitions, state, *inputs)
        wanted = (1 + len(term.items), transitions.num_lanes)
        if with_items.shape != wanted or with_items.dtype != np.float64:
            yield f"{term!r}: itemise must return float64 {wanted}, got {with_items.dtype} {with_items.shape}."
        if not np.array_equal(with_items[0], part, equal_nan=True):
            yield f"{term!r}: measure returned {part}, and itemise {with_items[0]}."
    if not tree_equal(before, state):
        yield f"{term!r}: measure changed its state; only observe may."
    return part


def _check_stored_batch(bench: Bench, watched: Watched, stored: np.ndarray) -> Complaints:
    """A replay buffer measures any number of stored rows at once, and long after they happened."""
    batch = bench.batch
    half = np.flatnonzero(batch.active)[::-2]
    subsets = [
        half,
        *half[:8, None],
    ]  # alone too: of half a batch the largest or any may be that of the whole
    parts = stored.copy()
    for index, term, inputs in watched.readings(batch, parts, stored=True):
        part = term.remeasure(batch, watched.states[index], *inputs)
        pure = term.replay is Replay.RECOMPUTE and not term.inputs
        if pure and not (
            part.shape == stored[index].shape
            and np.array_equal(part[batch.active], stored[index][batch.active])
        ):
            yield (
                f"{term!r} declares Replay.RECOMPUTE, but a batch of all {batch.num_lanes} stored transitions measures "
                "differently from each when it happened. Declare FROZEN if it reads statistics, STAMP if it depends on the order "
                "of experience."
            )
        for rows in subsets:
            chosen = [tree_take(value, rows) for value in inputs]
            again = term.remeasure(taken(batch, rows), watched.states[index], *chosen)
            if bench.same(again, part[rows]) or (len(rows) == 1 and bench.close(again, part[rows])):
                continue
            yield (
                f"{term!r}: the part of a stored transition depends on which others are measured with it. A part may depend on its "
                "own transition and the state, not on other rows of the batch."
            )
        parts[index] = part


def _check_fits(bench: Bench) -> Complaints:
    """Whatever learns is fitted to all of the stream, as a rollout buffer does it before it pays."""
    engine = bench.engine(pay_at_end=False, learn_every=None)
    if not engine.waits:
        return
    for transitions in bench.stream:
        engine.measure(transitions)
    if not np.isfinite(engine.learn()).all():
        yield f"{bench.expression!r}: parts are not finite after a fit."


# ---------------------------------------------------------------------- the whole expression


def _check_idle_rows(bench: Bench) -> Complaints:
    """Batches in which nothing happens, between those in which something does, must not be noticed."""
    plain, disturbed = (bench.engine(pay_at_end=False) for _ in range(2))
    for transitions, other in zip(bench.stream, reversed(bench.stream), strict=True):
        disturbed.measure(replace(other, active=np.zeros_like(other.active)))
        changed = (plain.measure(transitions) != disturbed.measure(transitions)).any(axis=1)
        if changed.any():
            term = plain.terms[int(changed.argmax())]
            yield f"{term!r}: observe took in rows with active=False, which are no transitions."


def _check_position(bench: Bench) -> Complaints:
    """Lanes may change places (those of one world together), and a lane does not see lanes of other worlds."""
    worlds = bench.spec.world_of_lane
    never = len(bench.stream) + 1  # a fit sees rows in order, and another order may end elsewhere
    still = bench.pay(bench.engine(learn_every=never), bench.stream)
    for order in (np.arange(len(worlds))[::-1], np.random.default_rng(1).permutation(len(worlds))):
        spec = replace(bench.spec, worlds=tuple(worlds[order].tolist()) if bench.spec.worlds else ())
        moved = RewardEngine(bench.expression, spec, pay_at_end=True, learn_every=never)
        if not bench.close(bench.pay(moved, [taken(step, order) for step in bench.stream]), still[:, order]):
            yield (
                f"{bench.expression!r}: rewards change when the lanes of the batch are put in another order."
            )
    yield from _check_strangers(bench, worlds)


def _check_strangers(bench: Bench, worlds: np.ndarray) -> Complaints:
    """What is stamped belongs to a lane (or its world): it is the same when nobody else is there."""
    whole, alone = (bench.engine(pay_at_end=False, learn_every=None) for _ in range(2))
    own = worlds == worlds[0]
    only = np.where(own, np.arange(len(own)), own.argmax())  # no value of a stranger is left to look at
    for transitions in bench.stream:
        clock = whole.clock
        parts = whole.measure(transitions).copy()
        alone.clock = clock  # schedules count everybody's steps
        lonely = alone.measure(replace(taken(transitions, only), active=transitions.active & own))
        for index, term in enumerate(whole.terms):
            stamped = replay_of(term) is Replay.STAMP and not whole.program.late[index] and not _shares(term)
            here = transitions.active & own
            if stamped and not bench.same(parts[index][here], lonely[index][here]):
                yield (
                    f"{term!r}: a lane's part depends on other lanes. A stamped part may depend on the lane's own experience, or "
                    "with sees_world on that of its world; statistics of everybody's are FROZEN."
                )


def _shares(term: Term) -> bool:
    """Whether the term reads something that counts everybody's experience."""
    return any(
        isinstance(node, Term) and replay_of(node) is Replay.FROZEN
        for item in term.inputs
        for node in walk(item)
    )


def _check_cuts(bench: Bench) -> Complaints:
    """What an episode is paid over all fragments does not depend on where rollouts cut it."""
    nodes = [
        node for node in walk(bench.expression) if isinstance(node, EpisodicCombinator) and node.episodic
    ]
    if not nodes or models_of(bench.expression) or not all(node.alone for node in nodes):
        return
    if not all(
        node.additive or node is bench.expression or node in bench.expression.addends for node in nodes
    ):
        return
    discounts = {node.discount for node in nodes}
    if len(discounts) > 1 or None in discounts:
        return
    (gamma,) = discounts
    whole = _episode_sums(bench, [len(bench.stream)], gamma)
    for length in (1, 3, 7):
        cut = _episode_sums(bench, [length] * -(-len(bench.stream) // length), gamma)
        if not bench.close(whole, cut):
            yield (
                f"{bench.expression!r}: what an episode is paid depends on where rollouts cut it (here every {length} steps)."
            )


def _episode_sums(bench: Bench, lengths: Sequence[int], gamma: Any) -> np.ndarray:
    """The sum of what each finished episode of each lane was paid, discounted by ``gamma``."""
    engine = bench.engine(pay_at_end=False)
    paid, start = [], 0
    for length in lengths:
        steps = bench.stream[start : start + length]
        start += length
        if not steps:
            break
        parts = np.stack([engine.measure(step).copy() for step in steps], axis=1)
        marks = [
            np.stack([getattr(step, name) for step in steps])
            for name in ("first", "terminated", "truncated", "active")
        ]
        contributions = engine.combine(parts, Episodes(*marks))
        shape = parts.shape[1:]
        paid.append(np.broadcast_to(engine.total(contributions), shape) * marks[3])
    sums, total, age = [], np.zeros(bench.spec.num_lanes), np.zeros(bench.spec.num_lanes)
    for step, rewards in zip(bench.stream, np.concatenate(paid), strict=True):
        age = np.where(step.first & step.active, 0, age)
        total = np.where(step.first & step.active, 0.0, total) + gamma**age * rewards
        age = age + step.active
        ended = (step.terminated | step.truncated) & step.active
        sums.extend(total[ended].tolist())
    return np.array(sums)


def _check_saved_state(bench: Bench) -> Complaints:
    """A state that is saved while episodes are open, and between two fits, continues where it was."""
    half = next(
        (t for t in range(len(bench.stream) // 2, len(bench.stream)) if _open(bench.stream[t - 1]).any()),
        len(bench.stream) // 2,
    )
    rewards = bench.pay(bench.engine(), bench.stream)
    saved, loaded = bench.engine(), bench.engine()
    bench.pay(saved, bench.stream[:half])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        save_engine(saved, path)
        load_engine(loaded, path)
    if not np.array_equal(bench.pay(loaded, bench.stream[half:]), rewards[half:]):
        yield (
            f"{bench.expression!r}: rewards after loading a saved state differ from those without the pause."
        )


def _open(transitions: Transitions) -> np.ndarray:
    return transitions.active & ~(transitions.terminated | transitions.truncated)
