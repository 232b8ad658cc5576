"""Rewards, environments and algorithms by the names that people write."""

from __future__ import annotations

import difflib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import gymnasium as gym

from shapegym.experiments.errors import RunError
from shapegym.experiments.nearby import environments
from shapegym.shaping.discovery import HOW_TO_IMPORT, import_modules
from shapegym.shaping.errors import suggest

if TYPE_CHECKING:
    from shapegym.shaping.files.reward_files import RewardFile


def reward_named(name: str) -> tuple[Any, Any]:
    """Return the expression of a reward, given as `reward_given` takes it, and its data."""
    from shapegym.shaping.files.reward_files import to_data

    expression = reward_given(name).expression
    return expression, to_data(expression)


def reward_given(reward: Any, beside: Path = Path()) -> RewardFile:
    """Return a reward however it is given, and what it imports: as `read_given` takes it, or as the name of a ready one.

    Args:
        reward: an expression, data, their text in YAML, a file, or a name.
        beside: the folder that names of files are relative to.

    Raises:
        RunError: for a name that is neither a node's nor a ready reward's.
        ShapingError: if it describes no reward, or imports what cannot be imported.
    """
    import shapegym.experiments.potentials  # noqa: F401  # registers the state functions that ready rewards refer to
    from shapegym.shaping.files.reward_files import read_given
    from shapegym.shaping.files.schema import know_all_nodes
    from shapegym.shaping.types import NODES

    know_all_nodes()
    if not is_name(reward) or reward in NODES:
        return read_given(reward, beside)
    ready = ready_rewards()
    if reward not in ready:
        raise RunError(
            f"There is no ready reward {reward!r}.{suggest(reward, ready)} Or give a file: reward.yaml. {HOW_TO_IMPORT}"
        )
    return read_given(ready[reward])


def reward_paying(pay: str, reward: Any, beside: Path = Path()) -> RewardFile:
    """Return what is left of a reward where it is paid so (`shapegym.shaping.weights.paying`).

    Args:
        pay: "both", "task", "bonus", "anneal:STEPS" or "until:STEPS".
        reward: as `reward_given` takes it; None or an empty text is the task reward.
        beside: as there.

    Raises:
        ShapingError: if there is no bonus, or task and bonus cannot be told apart.
    """
    from shapegym.shaping.weights.paying import paying, require_pay

    require_pay(pay)
    given = reward_given(reward or "task_reward", beside)
    return replace(given, expression=paying(given.expression, pay))


def ready_rewards() -> dict[str, Path]:
    """Return the files of the rewards that come with the project, by name."""
    folder = Path(str(resources.files("shapegym.experiments") / "rewards"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def is_name(reward: Any) -> TypeGuard[str]:
    """Whether a reward is given by a name, of a node or a ready reward."""
    from shapegym.shaping.files.reward_files import is_yaml

    return isinstance(reward, str) and not is_yaml(reward) and not Path(reward).suffix


def require_data(reward: Any) -> None:
    """Raise `RunError` if a reward that a folder holds leads out of it, by a text or a file: folders may be strangers'."""
    from shapegym.shaping.files.reward_files import names_files

    if isinstance(reward, str) and not is_name(reward):
        raise RunError(f"Here a reward stands as data, and not as the text {reward[:200]!r}.")
    if names_files(reward):
        raise RunError("Here the text of a program stands in the reward, and not the name of a file.")


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
