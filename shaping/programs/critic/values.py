"""Faults that show in the values of a program: not finite, never paid, always the same, too large, too small, left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shapegym.shaping.programs.critic.dependence import Dependence
from shapegym.shaping.programs.critic.finding import Finding
from shapegym.shaping.programs.critic.known import Floats
from shapegym.shaping.programs.critic.paid import Measured
from shapegym.shaping.programs.critic.pursuit import solution

_LARGE, _TINY = 20.0, 1e-3
"""How many times the task's largest reward a part may pay, in one step or on the way to the solution; and must."""

_EQUAL = 1e-9


def value_findings(measured: Measured, dependence: Dependence) -> Iterator[Finding]:
    """Yield what is wrong with the numbers that a program gives."""
    program, evidence = measured.program, measured.evidence
    yield from _not_finite(measured, dependence)
    values = np.nan_to_num(measured.parts)
    paid = _on_the_way(measured)
    for index, name in enumerate(program.parts):
        line, part = dependence.lines.get(name), values[index]
        largest = float(np.abs(part).max(initial=0.0))
        if largest == 0.0:
            yield Finding(
                "dead part",
                "warning",
                f"{name!r} paid nothing in any of {part.size:,} transitions: its conditions are never met, or what it computes is "
                "always 0. Check them, or leave it out.",
                line,
                name,
            )
            continue
        if np.ptp(part) <= _EQUAL * largest:
            yield from _constant(measured, dependence, name, float(part[0]))
            continue
        on_the_way = abs(float(paid[index].sum())) if paid is not None else 0.0
        if max(largest, on_the_way) > _LARGE * evidence.scale:
            row = int(np.abs(part).argmax())
            yield Finding(
                "scale",
                "warning",
                f"{name!r} pays up to {largest:.4g} a step and {on_the_way:.4g} on the way to the solution, where the task itself "
                f"pays {evidence.scale:.4g}: the task's own reward drowns in it. Scale it down.",
                line,
                name,
                (evidence.shown(program, int(measured.rows[row]), part[row]),),
            )
        elif (
            max(largest, np.abs(paid[index]).sum() if paid is not None else largest) < _TINY * evidence.scale
        ):
            yield Finding(
                "scale",
                "warning",
                f"{name!r} pays at most {largest:.4g} a step, where the task pays {evidence.scale:.4g}: no agent will notice. "
                "Scale it up, or leave it out.",
                line,
                name,
            )
        if program.form == "reward":
            yield from _beside(measured, dependence, index, paid)
    yield from _left_out(measured)


def _on_the_way(measured: Measured) -> Floats | None:
    """What each part pays for each step of a way to the solution, (K, L), of the first that is known."""
    for paid in measured.paid:
        if paid.known.solvable:
            if paid.walks is not None:
                return np.asarray(np.nan_to_num(paid.walks.way / len(paid.walks.solving)))
            return np.asarray(np.nan_to_num(paid.parts[:, solution(paid).way]))
    return None


def _not_finite(measured: Measured, dependence: Dependence) -> Iterator[Finding]:
    program, evidence = measured.program, measured.evidence
    for index, name in enumerate([*program.parts, "the total"]):
        values = measured.total if index == len(program.parts) else measured.parts[index]
        corner = measured.corners[0 if index == len(program.parts) else index + 1]
        line = dependence.lines.get(name)
        rows = np.flatnonzero(~np.isfinite(values))
        if len(rows):
            yield Finding(
                "not finite",
                "error",
                f"{name!r} is {values[rows[0]]:g} in {len(rows):,} of {len(values):,} transitions: something is divided by 0, or a "
                "root or logarithm is taken of what is too small. Guard it, as in x / max(y, 0.001).",
                line,
                name,
                (evidence.shown(program, int(measured.rows[rows[0]]), values[rows[0]]),),
            )
            return
        if len(rows := np.flatnonzero(~np.isfinite(corner))):
            yield Finding(
                "not finite",
                "warning",
                f"{name!r} is {corner[rows[0]]:g} in states that were made up from the limits of features: something can be "
                "divided by 0, or a root or logarithm be taken of what is too small. Guard it, as in x / max(y, 0.001).",
                line,
                name,
            )
            return


def _constant(measured: Measured, dependence: Dependence, name: str, value: float) -> Iterator[Finding]:
    """A part that is the same everywhere; a small cost of every step that was meant to be one is none of our business."""
    program, evidence = measured.program, measured.evidence
    line, meant = dependence.lines.get(name), not dependence.parts.get(name)
    if program.form == "reward" and meant and -_TINY * 50 * evidence.scale <= value < 0:
        return
    if program.form == "potential":
        words = "a potential that is the same in all states asks for nothing"
    elif value > 0:
        words = (
            "so the longer an episode lasts the more it pays, and ending it, even by solving the task, costs"
        )
    elif meant:
        words = f"so an episode of 100 steps costs {-100 * value:.4g}, where solving the task pays {evidence.scale:.4g}"
    else:
        words = "so it says nothing of what the agent does"
    yield Finding(
        "constant part",
        "warning",
        f"{name!r} is {value:.4g} in every transition, {words}. Let it depend on what changes, or leave it out.",
        line,
        name,
    )


def _beside(measured: Measured, dependence: Dependence, index: int, way: Floats | None) -> Iterator[Finding]:
    """A part that pays for every step, or for none that leads to the solution."""
    program, part = measured.program, np.nan_to_num(measured.parts[index])
    name, line = program.parts[index], dependence.lines.get(program.parts[index])
    row = int(part.argmax())
    if part.min() > 0:
        row = int(part.argmin())
        what = f"pays at least {part.min():.4g} in every step, whatever is done: the longer an episode lasts, the more"
        advice = "Take that off, so that a step that gains nothing pays nothing."
    elif way is not None and part[row] > 0 and not way[index].any():
        what = f"pays up to {part[row]:.4g}, and nothing at all on the way to the solution: it is for something else that it pays"
        advice = "Is a condition, a side or a feature the wrong one?"
    else:
        return
    shown = measured.evidence.shown(program, int(measured.rows[row]), part[row])
    yield Finding("beside the way", "warning", f"{name!r} {what}. {advice}", line, name, (shown,))


def _left_out(measured: Measured) -> Iterator[Finding]:
    """Whether the total is what the parts add up to."""
    program, evidence = measured.program, measured.evidence
    if not program.parts:
        return
    gap = np.nan_to_num(measured.total - measured.parts.sum(axis=0))
    if np.abs(gap).max(initial=0.0) <= 1e-6 * max(
        float(np.abs(np.nan_to_num(measured.parts)).max(initial=0.0)), 1e-300
    ):
        return
    row = int(np.abs(gap).argmax())
    parts = np.nan_to_num(measured.parts)
    single = [
        name
        for index, name in enumerate(program.parts)
        if np.allclose(gap, -parts[index], rtol=1e-6, atol=1e-12)
    ]
    what = (
        f"{single[0]!r} is a part, and is not in the total"
        if single
        else "the parts do not add up to the total"
    )
    yield Finding(
        "total",
        "warning",
        f"{what} (they differ by {gap[row]:.4g} in the transition below): what is shown of the reward is not what is paid.",
        None,
        single[0] if single else None,
        (evidence.shown(program, int(measured.rows[row]), measured.total[row]),),
    )
