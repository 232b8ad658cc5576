"""Rewards, environments and algorithms by the names that people write."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from shapegym.experiments.errors import RunError
from shapegym.experiments.nearby import environments
from shapegym.shaping.discovery import import_modules
from shapegym.shaping.errors import suggest

if TYPE_CHECKING:
    from shapegym.shaping.files.reward_files import RewardFile


def reward_named(name: str) -> tuple[Any, Any]:
    """Return the expression of a reward file, or of a ready reward, and its data."""
    from shapegym.shaping.files.reward_files import to_data

    expression = reward_file(name).expression
    return expression, to_data(expression)


def reward_file(name: str) -> RewardFile:
    """Return what a reward file says, or that of a ready reward."""
    import shapegym.experiments.potentials  # noqa: F401  # registers the state functions that ready rewards refer to
    from shapegym.shaping.files.reward_files import read_reward

    path = Path(name)
    if not path.suffix:
        ready = resources.files("shapegym.experiments") / "rewards"
        names = sorted(Path(item.name).stem for item in ready.iterdir() if item.name.endswith(".yaml"))
        if name not in names:
            raise RunError(
                f"There is no ready reward {name!r}.{suggest(name, names)} Or give a file: reward.yaml."
            )
        path = Path(str(ready / f"{name}.yaml"))
    return read_reward(path)


def require_env(env_id: str) -> None:
    """Raise `RunError`, with the nearest ids, if there is no such environment; `PluginError` if its module cannot be imported."""
    from shapegym.agents.environments import env_spec

    if module := env_id.rpartition(":")[0]:
        import_modules([module], f"The environment {env_id!r}", beside=True)
    try:
        env_spec(env_id)
    except gym.error.Error:
        raise RunError(
            f"There is no environment {env_id!r}.{hint(env_id)} One of your own is known once the module that registers it is "
            "imported: MODULE:ID in place of its id, or --import MODULE."
        ) from None


def hint(env_id: str) -> str:
    """Return a suggestion for a misspelt id, or nothing. Ids that a file of the current folder registers come first."""
    asked, beside = env_id.rpartition(":")[2], environments()
    near = [f"{beside[name]}:{name}" for name in difflib.get_close_matches(asked, beside, n=1)]
    named = " (name the module that registers it)" if near else ""
    near += difflib.get_close_matches(asked, list(gym.registry), n=3, cutoff=0.5)
    if not near:
        return " `shapegym envs` lists what there is."
    return f" Did you mean {near[0]}{named}{''.join(f', {name}' for name in near[1:])}?"


def known_algorithm(name: str) -> str:
    """Return the algorithm's name as the table spells it; an unknown one as it is."""
    from shapegym.agents.algorithms.registry import ALGORITHMS

    return next((known for known in ALGORITHMS if known.lower() == name.lower()), name)
