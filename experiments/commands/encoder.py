"""``shapegym encoder``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from shapegym.experiments.console import Imports, err, explained, out


def encoder(
    material: Annotated[
        str,
        typer.Argument(
            help="What it learns from: mountain-car, yard, or MODULE:FUNCTION, a function of a seed that returns pictures, "
            "(N, rows, columns, channels) bytes, and the sentences that are true of each."
        ),
    ],
    out_file: Annotated[Path, typer.Option("--out", help="Where its numbers are written (.npz).")],
    seed: Annotated[int, typer.Option(help="Of parameters, batches and material.", min=0)] = 0,
    channels: Annotated[
        int, typer.Option(help="Of the first layer that reads pictures.", min=1, max=1024)
    ] = 8,
    width: Annotated[int, typer.Option(help="Numbers in a code.", min=1, max=4096)] = 16,
    steps: Annotated[int, typer.Option(help="Of training.", min=1)] = 1000,
    _imports: Imports = None,
) -> None:
    """Train a small encoder of pictures and sentences, for GoalSimilarity: a minute on one core."""
    from shapegym.experiments.pictured.material import material_of
    from shapegym.shaping.similarity.pictures import save_towers
    from shapegym.shaping.similarity.towers import train

    with explained():
        pictures, sentences = material_of(material, seed)
        start = time.monotonic()
        plan, towers = train(
            pictures,
            sentences,
            channels=channels,
            width=width,
            steps=steps,
            seed=seed,
            say=lambda text: err.print(escape(text), style="dim"),
        )
        digest = save_towers(out_file, plan, towers)
        size = sum(parameter.numel() for parameter in towers.parameters())
        out.print(
            f"{escape(str(out_file))}: {size:,} parameters, {len(plan.vocabulary)} words, pictures of {plan.shape}, "
            f"{time.monotonic() - start:.0f} s"
        )
        out.print(f"of=..., encoder=PictureEncoder({str(out_file)!r}, {digest[:16]!r})", style="dim")
