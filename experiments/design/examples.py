"""Reference programs as examples for a designer: those of other tasks, never of the one that is designed."""

from __future__ import annotations

from shapegym.agents.programs.abstracting import abstraction_of
from shapegym.experiments.design.designer import Precedent
from shapegym.shaping.programs.references import examples_for as references_for


def examples_for(env: str, most: int) -> list[Precedent]:
    """Return reference programs as turns of a conversation, one of a kind of task.

    Args:
        env: the environment that is designed for; programs for its kind of task are left out.
        most: how many.
    """
    shown: list[Precedent] = []
    for reference in references_for(env, most):
        abstraction = abstraction_of(reference.env)
        code = "".join(
            line for line in reference.source.splitlines(keepends=True) if not line.startswith("#")
        )
        shown.append(Precedent(abstraction.task, abstraction.stub(), code.strip() + "\n"))
    return shown
