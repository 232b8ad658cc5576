"""Strategies as suites hold them: a reward as data, or a mapping of ``reward``, what it imports, and what of it is paid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shapegym.experiments.named import require_data, reward_given
from shapegym.shaping.files.reward_files import to_data
from shapegym.shaping.weights.paying import has_bonus, paying, require_pay


def written_out(given: Any, beside: Path, *, stored: bool) -> Any:
    """Return a strategy with every field of its reward, so that a default that changes one day makes another request.

    Args:
        given: a reward as `reward_given` takes it, or None; or a mapping of such a ``reward`` and ``pay``.
        beside: the folder that names of files are relative to.
        stored: it comes from a folder, where rewards stand as data.

    Raises:
        RunError, ShapingError: as `reward_given`.
    """
    pay = own_pay(given)
    reward = given if pay is None else _without_pay(given)
    said = {} if pay is None else {"pay": pay}
    if reward is not None:
        if stored:
            require_data(reward)
        read = reward_given(reward, beside)
        reward = to_data(read.expression)
        said |= {"imports": list(read.imports)} if read.imports else {}
    return {**said, "reward": reward} if said else reward


def imports_of(strategy: Any) -> list[str]:
    """Return the modules that a strategy's reward imports."""
    return strategy.get("imports", []) if _is_mapping_of_reward(strategy) else []


def own_pay(strategy: Any) -> Any:
    """Return what a strategy itself says of its reward is paid; None if that is left to others."""
    return strategy.get("pay") if _is_mapping_of_reward(strategy) else None


def left_of(strategy: Any, pay: str) -> Any:
    """Return what is left of a strategy's reward, as data: by its own ``pay``, or else, if there is a bonus, by ``pay``.

    Raises:
        ShapingError: if a ``pay`` is none, or the reward cannot be taken apart.
    """
    own = own_pay(strategy)
    reward = strategy["reward"] if _is_mapping_of_reward(strategy) else strategy
    pay = pay if own is None else own
    require_pay(pay)
    if pay == "both":
        return reward
    expression = reward_given(reward or "task_reward").expression
    return to_data(paying(expression, pay)) if own is not None or has_bonus(expression) else reward


def _without_pay(given: Mapping[str, Any]) -> Any:
    """The reward beside a ``pay``: with what it imports it is a reward file's content, alone it is given as any other."""
    content = {key: value for key, value in given.items() if key != "pay"}
    return content["reward"] if len(content) == 1 else content


def _is_mapping_of_reward(strategy: Any) -> bool:
    return isinstance(strategy, Mapping) and "reward" in strategy
