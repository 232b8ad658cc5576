"""What hindsight changes about a transition, and what it cannot: a goal that is kept elsewhere than in ``obs.desired_goal``.

HER puts another goal in the observation. A feature stays what the environment said of the real goal, and so does a stamped part. An
expression that reads the goal there would pay most of a batch for a goal that the batch does not show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from shapegym.shaping.errors import HindsightError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Replay
from shapegym.shaping.surfaces.collect import SUCCESS_KEYS

GOAL, ACHIEVED = "desired_goal", "achieved_goal"

SAID_OF_GOALS = {"goal", "goals", "desired", "target", "targets", "distance", "dist", "success", "solved"}
"""Words in names of features that depend on the goal."""

LARGEST_GOAL = 16
"""Numbers of a goal up to which features are compared with it; nobody copies a picture into a feature."""


def require_relabelled(engine: RewardEngine) -> None:
    """Check that no part depends on a goal that HER cannot exchange, as far as names tell.

    Raises:
        HindsightError: if one does; names the part and what it reads.
    """
    program = engine.program
    for term, name, replay in zip(engine.terms, engine.term_names, program.replays, strict=True):
        if replay is Replay.STAMP and GOAL in term.entries:
            raise HindsightError(
                f"HER exchanges the goal of stored transitions, and the part {name!r} ({type(term).__name__}) reads it and keeps "
                "what it was when the transition happened. Use a term that is measured again (Potential, StateReward, GoalReached) "
                "for what depends on the goal."
            )
    pure = {
        term for term, replay in zip(engine.terms, program.replays, strict=True) if replay is Replay.RECOMPUTE
    }
    for reader in program.readers:
        for feature in (*reader.reads, *reader.reads_before):
            scores = (
                feature in SUCCESS_KEYS and reader not in pure
            )  # a weight that follows success follows that of real episodes
            if not scores and SAID_OF_GOALS.intersection(re.split(r"[._]", feature.lower())):
                raise HindsightError(_kept(program.name_of(reader), feature))


def require_independent(features: Mapping[str, np.ndarray], achieved: np.ndarray, goal: np.ndarray) -> None:
    """Check that no feature holds the goal, or says how far it is, in all of M transitions.

    Args:
        features: of s_{t+1}, each (M, ...).
        achieved: the achieved goals of s_{t+1}, (M, ...).
        goal: the goals that were pursued, (M, ...).

    Raises:
        HindsightError: if one does; names it.
    """
    achieved, goal = (
        np.asarray(values, dtype=np.float64).reshape(len(goal), -1) for values in (achieved, goal)
    )
    if achieved.shape != goal.shape or goal.shape[1] > LARGEST_GOAL:
        return
    for name, values in features.items():
        if values.dtype.kind not in "biuf":
            continue
        sizes = np.abs(values.reshape(len(goal), -1).astype(np.float64))
        for candidate in _said_of(achieved, goal):
            if (
                np.ptp(goal, axis=0).any()
                and candidate.shape == sizes.shape
                and np.allclose(sizes, candidate)
            ):
                raise HindsightError(_kept("the expression", name))


def _said_of(achieved: np.ndarray, goal: np.ndarray) -> Iterator[np.ndarray]:
    """What features say of a goal, without signs, (M, n) each: itself, its numbers, what is missing to it, in all norms."""
    missing = np.abs(goal - achieved)
    for values in (np.abs(goal), missing):
        yield values
        yield from (column[:, None] for column in values.T if np.ptp(column))
    if np.ptp(missing, axis=0).any():
        yield from (missing.sum(axis=1, keepdims=True), missing.max(axis=1, keepdims=True))
        squares = (missing**2).sum(axis=1, keepdims=True)
        yield from (squares, np.sqrt(squares))


def _kept(reader: str, feature: str) -> str:
    return (
        f"HER exchanges the goal of stored transitions in obs.{GOAL}, and {reader} reads features.{feature}, which says something "
        "of the real goal and stays what it was: most of a batch would be paid for a goal that it does not show. Read "
        f"obs.{GOAL} and obs.{ACHIEVED}, such as Potential(Distance('obs.{ACHIEVED}', 'obs.{GOAL}')). A feature that does not "
        "depend on the goal needs another name."
    )
