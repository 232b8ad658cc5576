"""What there is: environments and nodes, as tables for a terminal."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
import textwrap
from collections.abc import Sequence

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import shapegym  # noqa: F401  # registers the ids of the table
from shapegym.agents.errors import TabulationError
from shapegym.envs.dynamics import Dynamics
from shapegym.envs.registration import TABLE, EnvRow, build
from shapegym.experiments.errors import RunError
from shapegym.experiments.nearby import definitions
from shapegym.shaping.discovery import HOW_TO_IMPORT, import_modules, load_plugins
from shapegym.shaping.errors import UnknownNameError, said_as, suggest
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.marked_yaml import write_yaml
from shapegym.shaping.files.reward_files import to_data
from shapegym.shaping.files.schema import node_help
from shapegym.shaping.transitions import Spec
from shapegym.shaping.tree import (
    addends_of,
    guarantee_losses,
    guarantee_of,
    has_task_reward,
    learns_weights,
    part_names,
    terms_of,
)
from shapegym.shaping.types import NODES, Expression, is_episodic, snake_case, times_task_is_paid

_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
"""An entry below "Args:", which may go over several lines."""

_READY = {"gymnasium": "Gymnasium itself", "minigrid": "the minigrid package"}
"""Packages whose many ids are known without being listed."""


def rows(pattern: str) -> list[EnvRow]:
    """Return the rows of the id table that contain ``pattern``, whatever the case."""
    return [row for row in TABLE if pattern.lower() in row.id.lower()]


def others(pattern: str, *, ready: bool = False) -> list[EnvSpec]:
    """Return the specs that other people's modules registered, plugins included, whose ids contain ``pattern``.

    A pattern "module:text" imports the module first. ``ready``: of what comes with Gymnasium and minigrid, instead of others; the
    one whose id is the pattern, if there is one.
    """
    module, _, text = pattern.rpartition(":")
    if module:
        import_modules([module], f"The pattern {pattern!r}", beside=True)
    load_plugins()
    if ready:
        importlib.import_module("minigrid")  # registers its ids
    found = [
        spec
        for spec in gym.registry.values()
        if text.lower() in spec.id.lower()
        and _home_of(spec) != "shapegym"
        and (_home_of(spec) in _READY) == ready
    ]
    return [spec for spec in found if spec.id.lower() == text.lower()] or found if ready else found


def listing(found: list[EnvRow], others: Sequence[EnvSpec] = ()) -> Table:
    """Return a line for each environment; returns are exact where the task is finite."""
    result = Table(box=None, padding=(0, 2, 0, 0))  # the longest id and its numbers fit 80 columns
    result.add_column("id", no_wrap=True)
    for column in ("steps", "optimal", "random"):
        result.add_column(column, justify="right", no_wrap=True)
    for row in found:
        dynamics = build(row.builder, **row.knobs)
        result.add_row(row.id, str(dynamics.max_steps), *_returns(dynamics))
    for spec in others:
        result.add_row(spec.id, str(spec.max_episode_steps or ""), "", "")
    return result


def show_other(spec: EnvSpec, console: Console) -> None:
    """Print what is known of an environment that somebody else registered."""
    from shapegym.agents.environments import make_env

    with said_as(RunError, (gym.error.Error, ImportError), f"{spec.id} cannot be made: ", ""):
        env = make_env(spec.id)
    try:
        console.print(listing([], [spec]))
        console.print(f"[bold]From[/] {_READY.get(_home_of(spec), _home_of(spec))}")
        console.print(f"[bold]Actions[/] {escape(str(env.action_space))}")
        console.print(f"[bold]Observation[/] {escape(str(env.observation_space))}")
        told = env.get_wrapper_attr("features") if env.has_wrapper_attr("features") else {}
        console.print(
            f"[bold]Features[/] {escape(', '.join(told)) or 'none that shapegym knows how to read'}"
        )
        console.print(f"[bold]Tables[/] {escape(_tables_of(env))}")
        builder = spec.kwargs.get("builder")
        made = type(env.unwrapped) if builder is None else load_env_creator(builder)
        console.print(Markdown(inspect.getdoc(made) or ""))
    finally:
        env.close()


def show(row: EnvRow, console: Console) -> None:
    """Print everything about one environment: its table line, spaces, features, documentation and knobs."""
    module, _, name = row.builder.partition(":")
    builder = getattr(importlib.import_module(module), name)
    dynamics = build(row.builder, **row.knobs)
    console.print(listing([row]))
    console.print(f"[bold]Actions[/] {escape(str(dynamics.action_space))}")
    console.print(f"[bold]Observation[/] {escape(str(dynamics.observation_space))}")
    console.print(f"[bold]Features[/] {', '.join([*dynamics.features, 'success', 'event'])}")
    documents = (inspect.getdoc(importlib.import_module(module)) or "", inspect.getdoc(builder) or "")
    documentation = max(documents, key=len)
    console.print(Markdown(documentation))
    console.print(f"[bold]Knobs[/] (gym.make({row.id!r}, ...)): {inspect.signature(builder)}")
    for heading, text in dynamics.about().items():
        console.print(f"[bold]{heading}[/] {escape(text)}")


def list_nodes(console: Console) -> None:
    """Print what a reward file can hold, a line each; cut to the width of a terminal, whole in a pipe."""
    for kind, group in itertools.groupby(node_help(), key=lambda node: node.kind):
        found = list(group)
        console.print(f"[bold]{kind}s[/]")
        width = max(len(node.name) for node in found)
        for node in found:
            line = Text(f"  {node.name.ljust(width)}  {node.summary}")
            if console.is_terminal:
                line.truncate(console.width, overflow="ellipsis")
            console.print(line, soft_wrap=True)
    console.print("[dim]All about one of them: `shapegym terms NAME`.[/]")


def show_node(name: str, console: Console) -> None:
    """Print everything about one node: what it is, its arguments, an example as a reward file has it.

    Raises:
        UnknownNameError: if there is no such node.
    """
    known = node_help()
    node = next((node for node in known if name == node.name or snake_case(name) == node.name), None)
    if node is None:
        beside = definitions().get(name) or {snake_case(key): at for key, at in definitions().items()}.get(
            name
        )
        here = f" The module {beside} of the current folder defines one: --import {beside}." if beside else ""
        names = [node.name for node in known]
        raise UnknownNameError(
            f"There is no node {name!r}.{here or suggest(name, names)} {'' if here else HOW_TO_IMPORT}".strip()
        )
    said, _, arguments = node.documentation.partition("\nArgs:\n")
    meanings = {name: " ".join(text.split()) for name, text in _ARGUMENT.findall(arguments)}
    console.print(f"[bold]{node.name}[/]: {node.kind}")
    console.print(Markdown(said))
    if node.fields:
        console.print()
    for item in node.fields:
        takes = item.type + ("" if item.default is None else f"; by default {item.default}")
        meaning = meanings.get(item.name, "")
        line = f"[bold]{item.name}[/] ({escape(takes)}){': ' * bool(meaning)}{escape(meaning)}"
        console.print(Padding(line, (0, 0, 0, 2)))
    examples = NODES[node.name].examples() if node.name in NODES else ()
    for example in [each.node for each in examples if isinstance(each.node, Expression)][:1]:
        text = textwrap.indent(write_yaml({"reward": to_data(example)}), "  ").rstrip()
        console.print(f"\nFor example:\n[dim]{escape(text)}[/]", soft_wrap=True)


def explain(expression: Expression, env_id: str, gamma: float, console: Console) -> None:
    """Print an expression, its parts and its guarantee; with an environment, whether it can be bound."""
    console.print(escape(str(expression)), style="bold")
    console.print(f"parts: {', '.join(part_names(addends_of(expression)))}")
    console.print(f"guarantee: {guarantee_of(expression)}")
    for loss in guarantee_losses(expression):
        console.print(f"  {escape(str(loss))}")
    if not has_task_reward(expression):
        console.print("[yellow]The task reward is no part of it: the agent will not know the task.[/]")
    if (times := times_task_is_paid(expression)) > 1:
        console.print(
            f"[yellow]It pays the task reward {times} times: gate, renorm, constrained and blend include it already.[/]"
        )
    if learns_weights(expression):
        console.print(
            "It has weights to learn: BARFI learns them; under any other algorithm they stay as they began."
        )
    if is_episodic(expression):
        console.print("Known in hindsight: needs an SB3 rollout or replay buffer (shapegym train does that).")
    if env_id:
        from shapegym.agents.environments import make_vec_env, with_features

        venv = make_vec_env(env_id, 1, **with_features(env_id, expression, {}))
        try:
            declared = getattr(venv, "features", None) or (
                venv.get_attr("features")[0] if venv.has_attr("features") else None
            )
            spec = Spec(1, venv.observation_space, venv.action_space, declared, gamma)
            engine = RewardEngine(expression, spec)
        finally:
            venv.close()
        console.print(f"[green]It fits {env_id}.[/]")
        for term, name in zip(engine.terms, engine.term_names, strict=True):
            if remark := term.remark(spec):
                console.print(f"[yellow]{escape(f'{name!r}: {remark}')}[/]")
        if declared is None and any(term.reads or term.reads_before for term in terms_of(expression)):
            console.print(
                "[yellow]The environment declares no features: whether it has those that the reward reads shows when it runs.[/]"
            )


def _tables_of(env: gym.Env) -> str:
    """What an audit of the environment can know exactly."""
    from shapegym.agents.finite.model import model_of

    try:
        model = model_of(env)
    except TabulationError as error:
        return f"none. {error}"
    size = f"{model.task.n_states} states, {model.task.n_actions} actions"
    names = f" ({', '.join(model.action_names)})" if model.action_names else ""
    return f"{size}{names}: audits are exact"


def _home_of(spec: EnvSpec) -> str:
    """The package that an environment comes from; of a task that shapegym plays for somebody, that of its builder."""
    entry = spec.kwargs.get("builder", spec.entry_point)
    module = entry if isinstance(entry, str) else getattr(entry, "__module__", "")
    return module.partition(":")[0].partition(".")[0]


def _returns(dynamics: Dynamics) -> tuple[str, str]:
    exact = dynamics.exact_returns()
    return ("", "") if exact is None else (f"{exact[0]:.3g}", f"{exact[1]:.2g}")
