"""An exploit step by step, in the words of its task: where the agent is, what it does, what happens, what that pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapegym.shaping.audit.loops import FoundExploit, Move

_MOST_DETAILS = 3


@dataclass(frozen=True)
class ExploitStep:
    """A step of an exploit in words."""

    at: str
    action: str
    event: str
    shaped: float
    task: float
    probability: float


@dataclass(frozen=True)
class Walkthrough:
    """An exploit in words and steps."""

    exploit: FoundExploit
    summary: str
    lead: tuple[ExploitStep, ...]
    turn: tuple[ExploitStep, ...]


def walk_through(
    found: FoundExploit | None,
    states: Sequence[Mapping[str, Any]],
    actions: Sequence[str],
    events: Mapping[tuple[int, int, int], str],
) -> Walkthrough | None:
    """Return an exploit in words, or None for none.

    Args:
        found: the exploit.
        states: features of each state.
        actions: what each action is called.
        events: (s, a, s') -> what happens, where something does.
    """
    if found is None:
        return None
    moves = (*found.lead, *found.turn)
    telling = _telling([states[move.state] for move in moves])

    def line(move: Move) -> ExploitStep:
        return ExploitStep(
            _described(states[move.state], telling, move.state),
            actions[move.action],
            events.get((move.state, move.action, move.next_state), ""),
            move.shaped,
            move.task,
            move.probability,
        )

    return Walkthrough(found, _summary(found), tuple(map(line, found.lead)), tuple(map(line, found.turn)))


def action_names(count: int, known: Sequence[str] = ()) -> Sequence[str]:
    """Return what actions are called: by their names where they have some, else by their numbers."""
    return known or [f"action {a}" for a in range(count)]


def _summary(found: FoundExploit) -> str:
    worth = (
        f"pays {found.shaped.exploit:.4g} where solving the task pays {found.shaped.solution:.4g}, and is worth "
        f"{found.task.exploit:.4g} of the task's {found.task.solution:.4g}"
    )
    if not found.loops:
        return f"what it pays most for {worth}."
    steps = len(found.turn)
    each = "on average " if np.isnan(found.lure) else ""
    return f"a loop of {steps} step{'s'[: steps > 1]} {each}{worth}."


def _telling(states: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the features that change on the way, the agent's position first."""
    names = [
        name
        for name in states[0]
        if name not in ("state", "success", "event")
        and any(not np.array_equal(states[0][name], other[name]) for other in states)
    ]
    first = ["agent_pos"] if "agent_pos" in states[0] else []
    return [*first, *(name for name in names if name not in first)][:_MOST_DETAILS]


def _described(features: Mapping[str, Any], names: Sequence[str], state: int) -> str:
    told = []
    for name in names:
        value = np.asarray(features[name])
        if value.ndim:
            told.append(f"{name} ({', '.join(f'{each:g}' for each in value.ravel()[:4])})")
        elif value.dtype == np.bool_:
            told.append(name if value else f"no {name}")
        else:
            told.append(f"{name} {value.item():g}" if value.dtype.kind in "iuf" else f"{name} {value.item()}")
    return ", ".join(told) or f"state {state}"
