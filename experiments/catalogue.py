"""What there is: environments and nodes, as tables for a terminal."""

from __future__ import annotations

import difflib
import importlib
import inspect

import gymnasium as gym
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

import shapegym  # noqa: F401  # registers the ids of the table
from shapegym.envs.dynamics import Dynamics
from shapegym.envs.grid.dynamics import GridDynamics
from shapegym.envs.grid.readings import READINGS
from shapegym.envs.registration import TABLE, Row, build
from shapegym.envs.tabular.dynamics import FiniteDynamics
from shapegym.envs.tabular.solver import optimal_return, random_return
from shapegym.shaping.errors import UnknownNameError, suggest
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.schema import node_help
from shapegym.shaping.transitions import Spec
from shapegym.shaping.tree import (
    addends_of,
    guarantee_losses,
    guarantee_of,
    has_task_reward,
    is_episodic,
    part_names,
    terms_of,
    times_task_is_paid,
)
from shapegym.shaping.types import Expression, snake_case
from shapegym.shaping.weights.blend import LearnedWeight


def rows(pattern: str) -> list[Row]:
    """Return the rows of the id table that contain ``pattern``, whatever the case."""
    return [row for row in TABLE if pattern.lower() in row.id.lower()]


def hint(env_id: str) -> str:
    """Return a suggestion for a misspelt id, or nothing."""
    near = difflib.get_close_matches(env_id, list(gym.registry), n=3, cutoff=0.5)
    return f" Did you mean {', '.join(near)}?" if near else " `shapegym envs` lists what there is."


def table(found: list[Row]) -> Table:
    """Return a line for each environment; returns are exact where the task is finite."""
    result = Table(box=None, padding=(0, 2, 0, 0))  # the longest id and its numbers fit 80 columns
    result.add_column("id", no_wrap=True)
    for column in ("steps", "optimal", "random"):
        result.add_column(column, justify="right", no_wrap=True)
    for row in found:
        dynamics = build(row.builder, **row.knobs)
        result.add_row(row.id, str(dynamics.max_steps), *_returns(dynamics))
    return result


def show(row: Row, console: Console) -> None:
    """Print everything about one environment: its table line, spaces, features, documentation and knobs."""
    module, _, name = row.builder.partition(":")
    builder = getattr(importlib.import_module(module), name)
    dynamics = build(row.builder, **row.knobs)
    console.print(table([row]))
    console.print(f"[bold]Actions[/] {escape(str(dynamics.action_space))}", highlight=False)
    console.print(f"[bold]Observation[/] {escape(str(dynamics.observation_space))}", highlight=False)
    console.print(f"[bold]Features[/] {', '.join([*dynamics.features, 'success', 'event'])}", highlight=False)
    documents = (inspect.getdoc(importlib.import_module(module)) or "", inspect.getdoc(builder) or "")
    documentation = max(documents, key=len)
    console.print(Markdown(documentation))
    console.print(
        f"[bold]Knobs[/] (gym.make({row.id!r}, ...)): {inspect.signature(builder)}", highlight=False
    )
    if isinstance(dynamics, GridDynamics):
        console.print(
            f"[bold]Options[/] of every grid world: {inspect.signature(GridDynamics)}\n"
            f"[bold]Features[/] beyond those above, with features=(...): {', '.join(READINGS)}",
            highlight=False,
        )


def nodes(name: str) -> Table:
    """Return what a reward file can hold, with arguments and defaults, or one node of it.

    Raises:
        UnknownNameError: if there is no such node.
    """
    found = [node for node in node_help() if name in ("", node.name) or snake_case(name) == node.name]
    if not found:
        raise UnknownNameError(
            f"There is no node {name!r}.{suggest(name, [node.name for node in node_help()])}"
        )
    result = Table("node", "kind", "arguments", "what it is")
    for node in found:
        arguments = ", ".join(
            item.name if item.default is None else f"{item.name}={item.default}" for item in node.fields
        )
        result.add_row(node.name, node.kind, escape(arguments), escape(node.summary))
    return result


def explain(expression: Expression, env_id: str, gamma: float, console: Console) -> None:
    """Print an expression, its parts and its guarantee; with an environment, whether it can be bound."""
    console.print(escape(str(expression)), style="bold", highlight=False)
    console.print(f"parts: {', '.join(part_names(addends_of(expression)))}", highlight=False)
    console.print(f"guarantee: {guarantee_of(expression).name.lower()}", highlight=False)
    for loss in guarantee_losses(expression):
        console.print(f"  {escape(str(loss))}", highlight=False)
    if not has_task_reward(expression):
        console.print("[yellow]The task reward is no part of it: the agent will not know the task.[/]")
    if (times := times_task_is_paid(expression)) > 1:
        console.print(
            f"[yellow]It pays the task reward {times} times: gate, renorm, constrained and blend include it already.[/]"
        )
    if any(isinstance(term, LearnedWeight) and term.learn for term in terms_of(expression)):
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
            RewardEngine(expression, Spec(1, venv.observation_space, venv.action_space, declared, gamma))
        finally:
            venv.close()
        console.print(f"[green]It fits {env_id}.[/]", highlight=False)
        if declared is None:
            console.print(
                "[yellow]The environment declares no features: whether it has those that the reward reads shows when it runs.[/]"
            )


def _returns(dynamics: Dynamics) -> tuple[str, str]:
    if not isinstance(dynamics, FiniteDynamics):
        return "", ""
    return f"{optimal_return(dynamics.task):.3g}", f"{random_return(dynamics.task):.2g}"
