"""What a reward program may see of an environment: its features with what their notes say, and nothing that gives the task away."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gymnasium as gym

from shapegym.agents.environments import make_env
from shapegym.agents.errors import SettingsError
from shapegym.envs.dynamics import Dynamics
from shapegym.envs.native import dynamics_of
from shapegym.envs.notes import Note
from shapegym.shaping.programs.abstraction import Abstraction, Feature, abstraction_from

MOST_CODES = 24
"""Codes of a feature that are told: more of them are no help."""


def abstraction_of(
    env_id: str, env_kwargs: Mapping[str, Any] | None = None, features: Collection[str] = ()
) -> Abstraction:
    """Return what a program may see of an environment.

    Our tasks say what their features mean (`Dynamics.notes`), and which of them give the task away: the flag of success, the events
    that tell as much, and whatever was computed from a solution. Those are left out, and so are features that never change. Of
    other environments the declared spaces are all that is known, and names tell what gives the task away.

    Args:
        env_id: as `gymnasium.make` takes it.
        env_kwargs: of the environment; without ``features`` all that it offers are shown.
        features: names of features that are shown although they give the task away.

    Raises:
        SettingsError: the environment has no feature of such a name.
        gymnasium.error.Error: the id is not registered.
    """
    env = make_for_programs(env_id, env_kwargs or {}, features)
    try:
        dynamics = dynamics_of(env)
        if dynamics is None:
            declared = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {}
            declared = {
                name: space for name, space in declared.items() if name != "event" or name in features
            }
            found = abstraction_from(declared, env.action_space, env.observation_space, asked=tuple(features))
        else:
            found = _of_ours(dynamics, features)
    finally:
        env.close()
    if unknown := sorted(name for name in features if found.feature(name) is None):
        raise SettingsError(
            f"{env_id} has no feature {unknown[0]!r} that a program could read; there are "
            f"{', '.join(feature.name for feature in found.features)}."
        )
    return found


def make_for_programs(env_id: str, env_kwargs: Mapping[str, Any], features: Collection[str] = ()) -> gym.Env:
    """Make an environment that reports all that programs may read, and ``features`` too."""
    env = make_env(env_id, **env_kwargs)
    dynamics = dynamics_of(env)
    if dynamics is None or "features" in env_kwargs:
        return env
    wanted = [name for name, note in dynamics.offered.items() if not note.oracle]
    wanted += [name for name in features if dynamics.reports_on_request(name) and name not in wanted]
    if not wanted:
        return env
    env.close()
    return make_env(env_id, **env_kwargs, features=wanted)


def _of_ours(dynamics: Dynamics, asked: Collection[str]) -> Abstraction:
    notes = dynamics.noted
    shown = {
        name: space
        for name, space in dynamics.declared.items()
        if name in asked or not notes.get(name, Note("")).oracle
    }
    plain = abstraction_from(shown, dynamics.action_space, asked=None)
    features = (_annotated(feature, notes) for feature in plain.features)
    return Abstraction(
        dynamics.aim,
        tuple(feature for feature in features if feature.name in asked or _varies(feature)),
        _annotated(plain.action, notes),
    )


def _annotated(feature: Feature, notes: Mapping[str, Note]) -> Feature:
    with suppress(KeyError):
        note = notes[feature.name]
        codes = note.codes if len(note.codes) <= MOST_CODES else ()
        return replace(feature, unit=note.unit, about=note.about.removesuffix("."), codes=codes)
    return feature


def _varies(feature: Feature) -> bool:
    return (feature.low < feature.high or feature.length > 0) and len(feature.codes) != 1
