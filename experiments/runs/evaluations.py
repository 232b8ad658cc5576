"""How much a run is evaluated where nothing is said: so much that it costs a bounded share of the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from shapegym.agents.environments import MAX_LANES, longest_episode

SHARE = 0.2
"""Steps in evaluations, of those in training, at most: if every episode lasts as long as the task lets it."""

ENDLESS = 1000
"""Steps of an episode that are reckoned with where no time limit is known."""

MOST_POINTS, ENOUGH, MOST_AT_ONCE = 20, 16, 48
"""Evaluations while a run goes on; episodes of each with which more evaluations come first; and episodes of each at most."""


def planned(
    env: str, env_kwargs: Mapping[str, Any], steps: int, points: int | None, episodes: int | None
) -> tuple[int, int]:
    """Return how many evaluations there are while a run goes on, and episodes of each and of the one after it.

    What is given stays. What is not is chosen such that all of it takes at most `SHARE` of the steps, and is at least one episode.

    Args:
        env: id of the environment.
        env_kwargs: its arguments.
        steps: budget of the run.
        points: evaluations while it goes on.
        episodes: of each.

    Raises:
        SettingsError: if the environment rejects its arguments.
    """
    if points is not None and episodes is not None:
        return points, episodes
    limit = longest_episode(env, **env_kwargs) or ENDLESS
    affordable = max(int(SHARE * steps) // limit, 1)
    if points is None:
        few = episodes or min(max(math.isqrt(affordable), 5), ENOUGH)
        points = min(max(affordable // few - 1, 0), MOST_POINTS)
    if episodes is None:
        episodes = min(max(affordable // (points + 1), 1), MOST_AT_ONCE)
        if (
            episodes > MAX_LANES
        ):  # lanes play side by side, so a last round of few would cost as much as one of all
            episodes -= episodes % MAX_LANES
    return points, episodes
