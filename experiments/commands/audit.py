"""``shapegym audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from shapegym.experiments.console import Imports, explained, out, say
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env, reward_named

_FORMATS = (".html", ".json")

UNSOUND, NOTHING_PROVED = 1, 3
"""Exit codes beside 0 for "it is sound" and 2 for "it could not be audited"."""


def audit(
    reward: Annotated[str, typer.Argument(help="A reward file, or the name of a ready one.")],
    env: Annotated[str, typer.Option(help="The task, by its id.")],
    gamma: Annotated[float, typer.Option(help="The agent's discount.", min=0, max=1)] = 0.99,
    target: Annotated[
        Path | None, typer.Option("--out", help="Also write the audit to this .html or .json file.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Also draw the heat maps into this .png or .svg file.")
    ] = None,
    rollouts: Annotated[
        int, typer.Option(help="Random episodes to record, where the task has no tables.", min=2)
    ] = 200,
    states: Annotated[
        int, typer.Option(help="States to search for exploits, where the task has no tables.", min=1)
    ] = 500,
    seed: Annotated[int, typer.Option(help="Of recording and search.", min=0)] = 0,
    run: Annotated[
        Path | None, typer.Option(help="A run folder: also what its training episodes were paid.")
    ] = None,
    _imports: Imports = None,
) -> None:
    """Ask whether a reward can be trusted on a task.

    Exit code 0: it can, and that is proved. 1: it can be exploited, or claims what is not so. 2: it could not be audited. 3: no
    fault was found, but nothing is proved either: the reward was only recorded, or searched in part.
    """
    with explained():
        from shapegym.experiments.audit.evidence import audit as gather
        from shapegym.experiments.audit.maps import PICTURES, draw
        from shapegym.experiments.audit.presentation import as_data, html, show
        from shapegym.shaping.atomic_file import replacing

        if target is not None and target.suffix not in _FORMATS:
            raise RunError(f"--out writes {' or '.join(_FORMATS)} files, not {target.name!r}.")
        if maps is not None and maps.suffix not in PICTURES:
            raise RunError(f"Heat maps are written as {' or '.join(PICTURES)}, not as {maps.name!r}.")
        require_env(env)
        found = gather(
            env, reward_named(reward)[0], gamma, rollouts=rollouts, states=states, seed=seed, run=run
        )
        show(found, out)
        if target is not None:
            text = html(found) if target.suffix == ".html" else json.dumps(as_data(found), indent=2)
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as file:
                file.write(text.encode())
            say(f"Audit: {target}")
        if maps is not None:
            if not found.maps:
                raise RunError(f"{env} has no heat maps: its states are no cells of a known grid.")
            draw(list(found.maps), maps)
            say(f"Heat maps: {maps}")
    if not found.sound:
        raise typer.Exit(UNSOUND)
    if not found.proved:
        raise typer.Exit(NOTHING_PROVED)
