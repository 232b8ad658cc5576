"""What is known of an environment, to judge reward programs by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.programs.abstracting import make_for_programs
from shapegym.agents.programs.searching import Rows, as_read, known_by_search, known_of_tables
from shapegym.agents.programs.trials import Trials
from shapegym.envs.dynamics import Dynamics
from shapegym.envs.native import dynamics_of
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.critic.batch import Sides
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.states.names import value_in

Array = NDArray[Any]

LAYOUTS = 3
"""Starts of episodes around which a task without tables is searched."""

STATES = 12_000
"""States in which every action is tried, in all layouts together."""

RECORDED = 20, 200
"""Random episodes, and steps of each, of an environment that cannot be searched."""

_CORNERS = 512
_FAR = 1e3
"""How large a number without limits is made."""


def evidence_for(
    env_id: str,
    abstraction: Abstraction,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    gamma: float = 0.99,
    states: int = STATES,
) -> Evidence:
    """Gather what is known of an environment.

    A finite task is known from its tables. Other tasks of ours are searched from states that are kept: every action is tried in up
    to ``states`` states around the starts of a few episodes, and in grid worlds around the planner's way to the solution. Of any
    other environment random episodes are recorded, which show no solution.

    Args:
        env_id: as `gymnasium.make` takes it.
        abstraction: what programs may see; `abstraction_of` makes it.
        seed: of starts, random actions and made-up transitions.
        env_kwargs: of the environment.
        gamma: the agent's discount, below 1.
        states: in which every action is tried.
    """
    env = make_for_programs(env_id, env_kwargs or {}, [feature.name for feature in abstraction.features])
    try:
        names = [feature.name for feature in abstraction.features]
        rows, dynamics = Rows(names), dynamics_of(env)
        known, episodes, notes = (
            _recorded(env, rows, seed) if dynamics is None else _known(dynamics, rows, seed, gamma, states)
        )
    finally:
        env.close()
    joined = {name: np.concatenate(blocks) for name, blocks in rows.others.items()}
    codes = dict(abstraction.action.codes)
    first = int(min(codes, default=0))
    return Evidence(
        before={name: np.concatenate(blocks) for name, blocks in rows.before.items()},
        after={name: np.concatenate(blocks) for name, blocks in rows.after.items()},
        action=as_read(joined["action"]),
        reward=joined["reward"],
        terminated=joined["terminated"],
        success=joined["success"],
        known=known,
        episodes=episodes,
        corners=corners_of(abstraction, seed),
        actions=tuple(codes[number] for number in sorted(codes)),
        first_action=first,
        notes=notes,
    )


def _known(
    dynamics: Dynamics, rows: Rows, seed: int, gamma: float, states: int
) -> tuple[Any, Array, tuple[str, ...]]:
    nothing = np.zeros(1, np.int64)
    if dynamics.finite is not None:
        return (known_of_tables(dynamics.finite, rows, gamma),), nothing, ()
    trials, found, notes = Trials(dynamics, seed), [], []
    left = states
    for layout in range(LAYOUTS):
        if left < states // (2 * LAYOUTS):
            break
        known = known_by_search(trials, seed + layout, left, rows, gamma)
        if known is None:
            continue
        found.append(known)
        left -= known.states
        if trials.widths is not None:
            break  # one start is like another
    if not any(known.solvable for known in found):
        notes.append("No way to solve the task was found, so nothing is said about what leads there.")
    return tuple(found), nothing, tuple(notes)


def _recorded(env: gym.Env, rows: Rows, seed: int) -> tuple[tuple[()], Array, tuple[str, ...]]:
    """Random episodes."""
    env.action_space.seed(seed)
    starts = [0]
    for episode in range(RECORDED[0]):
        obs, info = env.reset(seed=seed + episode)
        for _ in range(RECORDED[1]):
            action = env.action_space.sample()
            before = {"obs": obs, **info}
            obs, reward, terminated, truncated, info = env.step(action)
            after = {"obs": obs, **info}
            rows.add(
                {name: np.array([value_in(before, name)]) for name in rows.names},
                {name: np.array([value_in(after, name)]) for name in rows.names},
                action=np.array([action]),
                reward=np.array([float(reward)]),
                terminated=np.array([terminated]),
                success=np.array([bool(info.get("success", info.get("is_success", False)))]),
            )
            if terminated or truncated:
                break
        starts.append(rows.count)
    note = (
        "The environment cannot be taken back to a state, so only random episodes are known, and no solution."
    )
    return (), np.array(starts), (note,)


def corners_of(abstraction: Abstraction, seed: int = 0, count: int = _CORNERS) -> Sides:
    """Made-up transitions: every feature at one of its limits, in the middle, at 0 or at a code, on both sides."""
    rng = np.random.default_rng(seed)
    before = {feature.name: _extremes(feature, count, rng) for feature in abstraction.features}
    after = {feature.name: _extremes(feature, count, rng) for feature in abstraction.features}
    for name, values in before.items():  # most steps change little
        same = rng.random(count) < 0.5
        after[name] = np.where(same.reshape(-1, *(1,) * (values.ndim - 1)), values, after[name])
    return {
        "before": before,
        "after": after,
        "action": {"action": _extremes(abstraction.action, count, rng)},
    }


def _extremes(feature: Feature, count: int, rng: np.random.Generator) -> Array:
    low = feature.low if np.isfinite(feature.low) else -_FAR
    high = feature.high if np.isfinite(feature.high) else _FAR
    middle = np.floor((low + high) / 2) if feature.kind != "number" else (low + high) / 2
    values = [low, high, middle, *([0.0] if low <= 0 <= high else []), *(code for code, _ in feature.codes)]
    shape = (count, feature.length) if feature.length else (count,)
    drawn = rng.choice(np.array(values, np.float64), size=shape)
    return drawn != 0.0 if feature.kind == "truth" and not feature.length else drawn
