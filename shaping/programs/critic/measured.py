"""A program on the evidence: what it pays in every known step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shapegym.shaping.programs.critic.batch import Batch, Sides, run
from shapegym.shaping.programs.critic.evidence import Evidence
from shapegym.shaping.programs.critic.known import Floats, Known
from shapegym.shaping.programs.critic.paid import Measured, Paid
from shapegym.shaping.programs.critic.unfolding import unfolded
from shapegym.shaping.programs.program import CheckedProgram


def measure(program: CheckedProgram, evidence: Evidence) -> Measured:
    """Evaluate a program on the evidence; of a potential, the difference that a step makes, without discount."""
    measured = Measured(program, evidence, [], _pay(program, evidence.corners)[0])
    if program.slots:
        measured.paid = [unfolded(measured, known) for known in evidence.known]
        _follow(measured)
    else:
        values, batches = _pay(program, evidence.sides())
        measured.look(np.arange(len(evidence)), values, *batches)
        measured.paid = [
            replace(_summed(known, values), jump=_jumps(measured, known) if known.slack else 0.0)
            for known in evidence.known
        ]
    measured.finish()
    return measured


def _pay(program: CheckedProgram, sides: Sides) -> tuple[Floats, list[Batch]]:
    """Total and parts, (K + 1, N), of a program without memory, or with the memory with which episodes begin."""
    if program.form == "reward":
        out = run(program, sides)
        return np.vstack([out.total, out.parts]), [out]
    before, after = (run(program, {"state": sides[side]}) for side in ("before", "after"))
    return np.vstack([after.total - before.total, after.parts - before.parts]), [before, after]


def _summed(known: Known, values: Floats) -> Paid:
    edges = np.add.reduceat(values, known.rows[:-1], axis=1) if len(known.target) else values[:, :0]
    if (end := known.rows[-1]) < values.shape[1]:  # the last edge ends where others begin
        edges[:, -1] = values[:, known.rows[-2] : end].sum(axis=1)
    return Paid(
        known,
        known,
        np.arange(known.states),
        np.arange(len(known.first_edge) - 1),
        np.arange(len(known.target)),
        edges[0],
        edges[1:],
    )


def _jumps(measured: Measured, known: Known) -> Floats:
    """What the total pays from where edges end to the states that stand for it, beyond what it pays for standing still there."""
    evidence, last = measured.evidence, known.rows[1:] - 1
    stands_for = known.rows[known.first_edge[known.first_group[known.target]]]
    end = {name: values[last] for name, values in evidence.after.items()}
    reached = {name: values[stands_for] for name, values in evidence.before.items()}
    action = {"action": evidence.action[last]}
    moved, stayed = (
        _pay(measured.program, {"before": end, "after": after, "action": action})[0][0]
        for after in (reached, end)
    )
    return np.where(known.ends, 0.0, np.nan_to_num(moved - stayed))


def _follow(measured: Measured) -> None:
    """Recorded episodes, step by step, with their memory."""
    episodes, program, evidence = measured.evidence.episodes, measured.program, measured.evidence
    lengths, going = np.diff(episodes), episodes[:-1]
    memory = None
    for step in range(int(lengths.max(initial=0))):
        alive = lengths > step
        out = run(program, evidence.sides(going + np.minimum(step, lengths - 1)), memory)
        memory = out.memory
        rows = (going + step)[alive]
        measured.look(rows, np.vstack([out.total, out.parts])[:, alive])
