"""``shapegym check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shapegym.experiments.console import Imports, Pay, explained, out, say
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env, reward_paying

FOUND, REFUSED = 1, 2
"""Exit codes beside 0 for "nothing is wrong"."""

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def check(
    reward: Annotated[
        str, typer.Argument(help="A reward file, the name of a ready one, or a program, PROGRAM.py.")
    ],
    env: Annotated[
        str, typer.Option(help="Also bind it to this environment; a program is judged there.")
    ] = "",
    gamma: Annotated[float, typer.Option(help="The agent's discount.", min=0, max=1)] = 0.99,
    pay: Pay = "both",
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", help="A feature that a program may read although it knows the answer; repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what a program is judged by.", min=0)] = 0,
    _imports: Imports = None,
) -> None:
    """Show what a reward says, what it promises, and whether it fits an environment.

    A program is judged: what is wrong with it is said in sentences, with the transitions that show it. Exit code 0: nothing; 1:
    something; 2: it is refused.
    """
    from shapegym.experiments import catalogue

    with explained():
        if env:
            require_env(env)
        if Path(reward).suffix == ".py" and env:
            if pay != "both":
                raise RunError(
                    "--pay is for training and for reward files: a program is judged as it stands."
                )
            clean = _judged(Path(reward), env, gamma, features or [], seed)
        else:
            catalogue.explain(reward_paying(pay, reward).expression, env, gamma, out)
            clean = True
    if not clean:
        raise typer.Exit(FOUND)


def _judged(path: Path, env: str, gamma: float, features: list[str], seed: int) -> bool:
    """Print what is wrong with a program; return whether that is nothing.

    Raises:
        ProgramError: it is refused.
    """
    from shapegym.agents.programs.abstracting import abstraction_of
    from shapegym.agents.programs.evidence import evidence_for
    from shapegym.shaping.errors import ShapingError
    from shapegym.shaping.limited_files import read_text
    from shapegym.shaping.programs.critic import blames, criticise
    from shapegym.shaping.programs.language.sizes import SOURCE_BYTES
    from shapegym.shaping.programs.program import read_program

    if not 0 < gamma < 1:
        raise RunError(
            "A program is judged with a discount between 0 and 1: what never ends is compared with the solution."
        )
    source = read_text(path, ShapingError, "program", limit=SOURCE_BYTES)
    abstraction = abstraction_of(env, features=features)
    program = read_program(source, abstraction)
    slots = f", and remembers {', '.join(name for name, _ in program.slots)}" if program.slots else ""
    say(
        f"A {program.form} of {', '.join(program.parts) or 'no parts'}. It reads {', '.join(program.features)}{slots}."
    )
    evidence = evidence_for(env, abstraction, seed, gamma=gamma)
    for note in evidence.notes:
        say(note, label="Note:", style="dim")
    found = criticise(program, abstraction, evidence)
    for finding in found.findings:
        where = f"line {finding.line}: " if finding.line else ""
        label = f"{finding.severity.capitalize()} ({finding.rule}):"
        say(
            "\n".join([f"{where}{finding.message}", *map(str, finding.shown)]),
            label=label,
            style=_STYLES[finding.severity],
        )
    if not found.findings:
        say(f"Nothing was found to be wrong with it, in {len(evidence):,} transitions of {env}.")
    if found.guidance is not None:
        say(
            f"it leads an agent {found.guidance:.0%} of the way that follows it alone, and acts by chance where it says nothing.",
            label="Guidance:",
        )
    return not blames(found.findings)
