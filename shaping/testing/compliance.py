"""The compliance checks."""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from shapegym.shaping.errors import FeatureError, suggest
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import from_data, to_data
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.transitions import Spec, State, Transitions
from shapegym.shaping.tree import terms_of
from shapegym.shaping.types import Combinator, Expression, Replay, Term


class ComplianceError(AssertionError):
    """An expression that breaks a promise of the contract."""


def check_expression(
    expression: Expression,
    env: str | Callable[[], gym.Env[Any, Any]] = ScriptedEnv,
    *,
    lanes: int = 3,
    steps: int = 48,
    gamma: float | None = None,
    seed: int = 0,
) -> None:
    """Check an expression on transitions of ``env`` under random actions.

    Args:
        expression: the reward to check.
        env: a registered id, or a function that makes an environment; with the features that the terms read.
        lanes: environments stepped side by side.
        steps: transitions of each.
        gamma: the agent's discount, for potentials without one.
        seed: of environments, actions and terms.

    Raises:
        ComplianceError: if a part has the wrong shape or dtype or is not finite; measuring changes a state or its own result; rows
            that are no transitions are noticed; a pure term measures a stored batch differently; rewards depend on
            a lane's position; a saved state does not continue where it was; or pickling or a reward file changes the expression.
        ShapingError: if the expression cannot be bound to the environment.
    """
    _check_copies(expression)
    spec, stream = record(expression, env, lanes=lanes, steps=steps, gamma=gamma, seed=seed)
    _check_terms(expression, spec, stream)
    _check_idle_rows(expression, spec, stream)
    rewards = _pay(RewardEngine(expression, spec, pay_at_end=True), stream)
    _check_position(expression, spec, stream, rewards)
    _check_saved_state(expression, spec, stream, rewards)


def record(
    expression: Expression,
    env: str | Callable[[], gym.Env[Any, Any]],
    *,
    lanes: int,
    steps: int,
    gamma: float | None = None,
    seed: int = 0,
) -> tuple[Spec, list[Transitions]]:
    """Return the transitions that random actions cause, with a row that is no transition after each episode, and their spec."""
    envs = [gym.make(env) if isinstance(env, str) else env() for _ in range(lanes)]
    space, actions = envs[0].observation_space, envs[0].action_space
    declared = envs[0].get_wrapper_attr("features") if envs[0].has_wrapper_attr("features") else None
    spec = Spec(lanes, space, actions, declared, gamma, seed)
    engine = RewardEngine(expression, spec, pay_at_end=True)
    before, after = engine.reads_before, tuple(dict.fromkeys((*engine.reads, *engine.reads_before)))
    actions.seed(seed)
    starts = [one.reset(seed=seed + 100 * lane) for lane, one in enumerate(envs)]
    obs = _stack(space, [start[0] for start in starts])
    features = _features([start[1] for start in starts], before)
    first, active = np.ones(lanes, dtype=bool), np.ones(lanes, dtype=bool)
    stream = []
    for _ in range(steps):
        chosen = [actions.sample() for _ in envs]
        results = [
            one.step(action) if goes_on else _reset_as_step(one)
            for one, action, goes_on in zip(envs, chosen, active, strict=True)
        ]
        next_obs, reward, terminated, truncated, infos = zip(*results, strict=True)
        transitions = Transitions(
            obs=obs,
            action=_stack(actions, chosen),
            next_obs=_stack(space, next_obs),
            reward=np.array(reward, dtype=np.float64),
            terminated=np.array(terminated),
            truncated=np.array(truncated),
            first=first,
            active=active,
            features=features,
            next_features=_features(infos, after),
        )
        stream.append(transitions)
        obs, features = transitions.next_obs, {name: transitions.next_features[name] for name in before}
        first, active = ~active, ~(transitions.terminated | transitions.truncated)
    return spec, stream


def _reset_as_step(env: gym.Env[Any, Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    obs, info = env.reset()
    return obs, 0.0, False, False, info


def _stack(space: gym.Space, members: Sequence[Any]) -> Any:
    if isinstance(space, spaces.Dict):
        return {
            key: _stack(entry, [member[key] for member in members]) for key, entry in space.spaces.items()
        }
    return np.stack([np.asarray(member, dtype=space.dtype) for member in members])


def _features(infos: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, np.ndarray]:
    for name in names:
        if any(name not in info for info in infos):
            raise FeatureError(f"The feature {name!r} is not in every info.{suggest(name, infos[0])}")
    return {name: np.stack([np.asarray(info[name]) for info in infos]) for name in names}


def _check_copies(expression: Expression) -> None:
    for what, twin in (
        ("Pickling", pickle.loads(pickle.dumps(expression))),  # noqa: S301  (what was pickled here a moment ago)
        ("A reward file", from_data(to_data(expression))),
    ):
        if twin != expression or hash(twin) != hash(expression):
            raise ComplianceError(f"{what} changes the expression: {expression!r} became {twin!r}.")


def _check_terms(expression: Expression, spec: Spec, stream: list[Transitions]) -> None:
    """Evaluate the terms by the contract, without the engine, and watch what they do to their states."""
    terms = terms_of(expression)
    states = [term.init(spec) for term in terms]
    kept: list[list[np.ndarray]] = [[] for _ in terms]
    clock = 0
    for transitions in stream:
        transitions.clock = clock
        parts: dict[Expression, np.ndarray] = {}
        for index, (term, state) in enumerate(zip(terms, states, strict=True)):
            inputs = [_value(node, parts) for node in term.inputs]
            term.observe(transitions, state, *inputs)
            parts[term] = _check_measure(term, transitions, state, inputs)
            kept[index].append(parts[term])
        clock += int(transitions.active.sum())
    for term, state, measured in zip(terms, states, kept, strict=True):
        if term.replay is Replay.RECOMPUTE and not term.inputs:
            _check_stored_batch(term, state, stream, measured)


def _value(node: Expression, parts: dict[Expression, np.ndarray]) -> Any:
    if isinstance(node, Combinator):
        return node.combine([_value(child, parts) for child in node.children])
    return parts[node]


def _check_measure(
    term: Term, transitions: Transitions, state: State, inputs: list[np.ndarray]
) -> np.ndarray:
    before = copy.deepcopy(state)
    part = np.array(term.measure(transitions, state, *inputs))
    again = term.measure(transitions, state, *inputs)
    if (
        not isinstance(again, np.ndarray)
        or again.shape != (transitions.num_lanes,)
        or again.dtype != np.float64
    ):
        got = f"{again.dtype} {again.shape}" if isinstance(again, np.ndarray) else repr(again)
        raise ComplianceError(
            f"{term!r}: measure must return float64 ({transitions.num_lanes},), one number a lane, got {got}."
        )
    if not np.isfinite(part[transitions.active]).all():
        raise ComplianceError(f"{term!r}: measure returned {part}, which is not finite in every transition.")
    if not np.array_equal(part, again, equal_nan=True):
        raise ComplianceError(f"{term!r}: measuring the same transitions twice gave {part}, then {again}.")
    if not _same(before, state):
        raise ComplianceError(f"{term!r}: measure changed its state; only observe may.")
    return part


def _check_idle_rows(expression: Expression, spec: Spec, stream: list[Transitions]) -> None:
    """Batches in which nothing happens, between those in which something does, must not be noticed."""
    plain, disturbed = RewardEngine(expression, spec), RewardEngine(expression, spec)
    for transitions, other in zip(stream, reversed(stream), strict=True):
        disturbed.measure(replace(other, active=np.zeros_like(other.active)))
        changed = (plain.measure(transitions) != disturbed.measure(transitions)).any(axis=1)
        if changed.any():
            term = plain.terms[int(changed.argmax())]
            raise ComplianceError(
                f"{term!r}: observe took in rows with active=False, which are no transitions."
            )


def _check_stored_batch(
    term: Term, state: State, stream: list[Transitions], measured: list[np.ndarray]
) -> None:
    """A replay buffer measures any number of stored rows at once, and long after they happened."""
    batch = _concatenate(stream)
    part, stored = term.remeasure(batch, state), np.concatenate(measured)
    if part.shape != stored.shape or not np.array_equal(part[batch.active], stored[batch.active]):
        raise ComplianceError(
            f"{term!r} declares Replay.RECOMPUTE, but a batch of all {batch.num_lanes} stored transitions measures differently "
            "from each when it happened. Declare FROZEN if it reads statistics, STAMP if it depends on the order of experience."
        )


def _check_position(
    expression: Expression, spec: Spec, stream: list[Transitions], rewards: np.ndarray
) -> None:
    order = np.arange(spec.num_lanes)[::-1]
    moved = _pay(
        RewardEngine(expression, spec, pay_at_end=True), [_rows(transitions, order) for transitions in stream]
    )
    if not np.allclose(moved, rewards[:, order], rtol=1e-9, atol=1e-12):
        raise ComplianceError(
            f"{expression!r}: rewards change when the lanes of the batch are put in another order."
        )


def _check_saved_state(
    expression: Expression, spec: Spec, stream: list[Transitions], rewards: np.ndarray
) -> None:
    half = len(stream) // 2
    saved, loaded = (RewardEngine(expression, spec, pay_at_end=True) for _ in range(2))
    _pay(saved, stream[:half])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        save_engine(saved, path)
        load_engine(loaded, path)
    if not np.array_equal(_pay(loaded, stream[half:]), rewards[half:]):
        raise ComplianceError(
            f"{expression!r}: rewards after loading a saved state differ from those without the pause."
        )


def _pay(engine: RewardEngine, stream: list[Transitions]) -> np.ndarray:
    return np.stack([engine.step(transitions)[0] for transitions in stream])


def _concatenate(stream: list[Transitions]) -> Transitions:
    """One batch of all rows of a stream."""

    def join(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: join([value[key] for value in values]) for key in values[0]}
        return np.concatenate(values)

    names = [item.name for item in fields(Transitions) if item.name != "clock"]
    return Transitions(
        **{name: join([getattr(transitions, name) for transitions in stream]) for name in names}
    )


def _rows(transitions: Transitions, lanes: np.ndarray) -> Transitions:
    """The same lanes in another order."""

    def pick(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: pick(entry) for key, entry in value.items()}
        return value[lanes] if isinstance(value, np.ndarray) else value

    return Transitions(**{item.name: pick(getattr(transitions, item.name)) for item in fields(Transitions)})


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(left, np.ndarray):
        return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    return bool(left == right)
