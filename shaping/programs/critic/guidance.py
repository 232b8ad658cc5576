"""Faults in what a program leads to: parts that no action moves or that prefer the wrong ones, and what agents do for the total."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shapegym.shaping.programs.critic.dependence import Dependence
from shapegym.shaping.programs.critic.finding import Finding, Shown
from shapegym.shaping.programs.critic.known import Indices
from shapegym.shaping.programs.critic.opinions import opinions
from shapegym.shaping.programs.critic.paid import Measured, Paid
from shapegym.shaping.programs.critic.pursuit import Pursuit, pursue, pursue_soon

_WRONG, _WRONG_IN_BINS = 0.03, 0.25
"""Share of its opinions in which a part may prefer what leads away from the solution: where states are exact, and where not."""

_SOLVES, _SOON = 0.5, 0.4
"""Share of the task's best discounted return that an agent must get which is paid so: in the long run, and in the short."""

_SHOWN = 4
"""Transitions of a loop that are shown."""


def guidance_findings(measured: Measured, dependence: Dependence) -> Iterator[Finding]:
    """Yield where a program leads away from the solution; nothing where none is known."""
    if not any(paid.known.solvable for paid in measured.paid):
        return
    yield from _unmoved(measured, dependence)
    yield from _misguided(measured, dependence)
    if measured.program.form == "reward":
        yield from _exploited(measured)
    yield from _stuck(measured)


def _unmoved(measured: Measured, dependence: Dependence) -> Iterator[Finding]:
    """Parts that pay the same whatever the agent does in a state."""
    for index, name in enumerate(measured.program.parts):
        values = np.nan_to_num(measured.parts[index])
        if np.ptp(values) > 0 and opinions(measured, index).held == 0.0:
            sides = {side for side, _ in dependence.parts.get(name, ())}
            cause = " It looks at the state before the step alone." if sides == {"before"} else ""
            yield Finding(
                "unmoved part",
                "warning",
                f"{name!r} pays the same for every action in every state that is known, so it cannot tell good from bad.{cause} "
                "Let it look at what the step changed.",
                dependence.lines.get(name),
                name,
            )


def _misguided(measured: Measured, dependence: Dependence) -> Iterator[Finding]:
    """Parts, and the total, that prefer actions which lead away from the solution."""
    program, evidence = measured.program, measured.evidence
    several = len(program.parts) != 1
    for index in [*range(len(program.parts)), *([None] if several else [])]:
        held = opinions(measured, index)
        paid = held.paid
        if paid is None or held.wrong <= (_WRONG_IN_BINS if paid.known.slack else _WRONG):
            continue
        name = "the total" if index is None else program.parts[index]
        values = paid.total if index is None else paid.parts[index]
        yield Finding(
            "sign",
            "warning",
            f"{name!r} prefers steps that lead away from the solution in {held.wrong:.0%} of the states in which it prefers any "
            f"({held.states:,} states): the first transition below pays more than the second, which is better. Is a sign, a side, "
            "an index or a feature the wrong one?",
            None if index is None else dependence.lines.get(name),
            None if index is None else name,
            tuple(evidence.shown(program, int(paid.rows[edge]), values[edge]) for edge in held.steps(values)),
        )


def _exploited(measured: Measured) -> Iterator[Finding]:
    """Behaviour that pays more than solving the task."""
    for paid in measured.paid:
        if not paid.known.solvable:
            continue
        if not paid.whole:
            yield from _putting_off(paid)
        elif (found := pursue(paid)).share < _SOLVES:
            yield _exploit(measured, found)
            return


def _exploit(measured: Measured, found: Pursuit) -> Finding:
    paid = found.paid
    edges = found.way[-found.loop :] if found.loop else found.way
    total, steps = float(paid.total[edges].sum()), int(paid.graph.steps[edges].sum())
    if found.loop and total > 0:
        rule, words = (
            "loop",
            f"going round a loop of {steps} step(s) pays {total:.4g} each time, more than solving the task",
        )
        advice = (
            "Pay once an episode (with memory), or take back on the way back what is paid on the way there."
        )
    elif found.loop:
        rule, words = (
            "lingering",
            f"lingering costs {-total:.4g} in {steps} step(s), and solving the task costs more",
        )
        advice = "Let the way to the solution pay, or cost less."
    elif paid.known.gain[paid.edge[found.way[-1]]] > 0:
        rule, words = "detour", f"the way that pays most takes {steps} steps, many more than the shortest"
        advice = "What is paid beside the way is too much."
    else:
        rule, words = (
            "failing",
            f"ending the episode without success, after {steps} step(s), pays more than solving the task",
        )
        advice = "What is charged on the way to the solution is too much."
    parts = paid.parts[:, edges].sum(axis=1)
    payer = measured.program.parts[int(parts.argmax())] if len(parts) and parts.max() > 0 else None
    by = f" Most of it is paid by {payer!r}." if payer else ""
    return Finding(
        rule,
        "error",
        f"For an agent that is paid the task's reward and this one, {words}.{by} {advice}",
        None,
        payer,
        _steps(measured, paid, edges),
    )


def _putting_off(paid: Paid) -> Iterator[Finding]:
    """Of walks: whether those that put off the end are paid more than those that solve the task."""
    if paid.walks is None:
        return
    solving, others = float(np.median(paid.walks.solving)), float(paid.walks.lingering.max())
    if others > solving:
        yield Finding(
            "lingering",
            "error",
            f"Episodes that put off solving the task were paid up to {others:.4g} (discounted, with the task's reward), and "
            f"solving it {solving:.4g}. Pay once an episode, or less.",
        )


def _stuck(measured: Measured) -> Iterator[Finding]:
    """Whether an agent that looks a few steps ahead is kept from the solution."""
    for paid in measured.paid:
        if not (paid.whole and paid.known.solvable):
            continue
        found = pursue_soon(paid)
        if found.share < _SOON:
            edges = found.way[-max(found.loop, 1) :]
            yield Finding(
                "stuck",
                "warning",
                "An agent that looks a few steps ahead and follows what the program pays does not get to the solution in time: it "
                f"comes to the {len(edges)} transition(s) below. Does a stage of the task pay less than the one before it, or does "
                "the way lead through what costs?",
                None,
                None,
                _steps(measured, paid, edges),
            )
            return


def _steps(measured: Measured, paid: Paid, edges: Indices) -> tuple[Shown, ...]:
    return tuple(
        measured.evidence.shown(measured.program, int(paid.rows[edge]), paid.total[edge])
        for edge in edges[:_SHOWN]
    )
