"""What commands share: the two consoles, sentences and paths that can be copied, options that become values, ``--import``."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import gymnasium as gym
import typer
import yaml
from rich.console import Console
from rich.text import Text

from shapegym.experiments.errors import RunError
from shapegym.experiments.visible import VisibleConsole, visible

out = VisibleConsole(highlight=False)
err = VisibleConsole(stderr=True, highlight=False)


def say(text: str, to: Console = out, *, label: str = "", style: str = "") -> None:
    """Print sentences: broken between words in a terminal, so that a path is copied whole, and not at all in a pipe.

    Args:
        text: what is said; no markup.
        to: the console.
        label: a first word in ``style``, such as "Error:". Lines after the first are indented then, so that none of them looks like
            another message.
        style: of the label, or of everything where there is none.
    """
    words = visible(f"{label} {text}".strip().replace("\n", "\n" + "  " * bool(label)))
    if to.is_terminal:
        lines = (
            textwrap.fill(
                line, to.width, replace_whitespace=False, break_long_words=False, break_on_hyphens=False
            )
            for line in words.split("\n")
        )
        words = "\n".join(lines)
    shown = Text(words)
    shown.stylize(style, 0, len(label) or len(words))
    to.print(shown, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning."""
    say(text, err, label="Warning:", style="yellow")


@contextmanager
def explained() -> Iterator[None]:
    """Turn what a person got wrong into one red message and exit code 2; let our own mistakes show their traceback.

    Warnings are printed as sentences, without the place in the code that gave them.
    """
    from shapegym.agents.errors import AgentError
    from shapegym.shaping.errors import ShapingError

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        warn(str(message))

    shown = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    except (AgentError, ShapingError, RunError, gym.error.Error, OSError) as error:
        say(str(error), err, label="Error:", style="bold red")
        raise typer.Exit(2) from None
    finally:
        warnings.showwarning = shown


def import_named(names: list[str] | None) -> list[str] | None:
    """Import what ``--import`` names, before the command looks anything up."""
    if names:
        from shapegym.shaping.discovery import import_modules

        with explained():
            import_modules(names, "--import", beside=True)
    return names


Imports: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        callback=import_named,
        is_eager=True,
        help="A module of your own that registers terms, algorithms, environments, ...; repeatable.",
    ),
]
"""The option of every command that looks things up by name."""


Pay: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="PART",
        help="What of the reward is paid: both, task, bonus, anneal:STEPS (the bonus fades until then) or until:STEPS (it stops).",
    ),
]
Trust: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Import the modules that the folder names, and unpickle its models: for folders that you or a friend made.",
    ),
]
"""The option of every command that goes on with a folder."""


def as_options(imports: Iterable[str] | None) -> str:
    """Return ``--import`` of every module as one would write it behind a command, or nothing."""
    return "".join(f" --import {name}" for name in imports or ())


def require_recorded(imports: Iterable[str] | None, recorded: Iterable[str], folder: Path) -> None:
    """Raise `RunError` if what goes on in a folder did not import a module from the beginning."""
    if others := [name for name in imports or () if name not in recorded]:
        raise RunError(
            f"{folder} goes on as it was asked for, which is without {others[0]}: leave out{as_options(others)}."
        )


def refuse_others(context: typer.Context, option: str, *allowed: str) -> None:
    """Raise `RunError` if the command got anything beside ``option`` and ``allowed``, which would have no effect."""
    others = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in (option, *allowed) and was_given(context, str(parameter.name))
    ]
    if others:
        raise RunError(
            f"--{option} continues the run as its config.yaml asks for it, so it takes nothing else: leave out {', '.join(others)}."
        )


def was_given(context: typer.Context, parameter: str) -> bool:
    """Whether the option stands on the command line."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def pairs(option: str, texts: list[str] | None) -> dict[str, Any]:
    """Return the values of a repeatable KEY=VALUE option, read as YAML."""
    values = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise RunError(f"{option} takes KEY=VALUE, got {text!r}.")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise RunError(
                f"{option} {key}: {value!r} is no value; write a number, true, a text or {{a: 1}}."
            ) from None
        if isinstance(values[key], str):
            with suppress(ValueError):
                values[key] = float(value)  # YAML takes 1e-3 for a text
    return values


def say_changes(changes: dict[str, tuple[str, str]]) -> None:
    """Warn that a run goes on under other versions."""
    for name, (then, now) in changes.items():
        warn(f"the run began with {name} {then}; this is {now}. It may not continue to the bit.")
