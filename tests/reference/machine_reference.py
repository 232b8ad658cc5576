"""A reward machine in plain loops, and value iteration over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Moves = Sequence[tuple[str, str, str, float]]
"""(source, event, target, reward) of every edge."""


def walk(moves: Moves, start: str, happened: Sequence[set[str]]) -> tuple[list[str], list[float]]:
    """Return the states of one episode, the start first, and what its steps are paid."""
    states, paid = [start], []
    for events in happened:
        taken = next((move for move in moves if move[0] == states[-1] and move[1] in events), None)
        states.append(taken[2] if taken else states[-1])
        paid.append(taken[3] if taken else 0.0)
    return states, paid


def values(moves: Moves, states: Sequence[str], terminal: Sequence[str], gamma: float) -> Mapping[str, float]:
    """Return v of each state, where waiting is an action that pays nothing."""
    value = dict.fromkeys(states, 0.0)
    for _ in range(2000):
        value = {
            state: 0.0
            if state in terminal
            else max(
                [gamma * value[state]]
                + [reward + gamma * value[target] for source, _, target, reward in moves if source == state]
            )
            for state in states
        }
    return value
