"""Generalised advantages of two streams of rewards in plain loops, lane by lane. Imports nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sb3_reference import Happened


def advantages(
    steps: Sequence[Happened],
    rewards: Sequence[float],
    value: Callable[[Any], float],
    last_obs: Any,
    gamma: float,
    lam: float,
    *,
    episodic: bool,
) -> list[float]:
    """Those of one lane and one stream. ``last_obs`` is what the agent sees after the last step.

    An episodic stream ends where episodes do: at a terminal state nothing follows, at a truncation the value of the state that was
    reached. In one that goes on, the next episode's first state follows.
    """
    seen = [*(step.obs for step in steps[1:]), last_obs]
    out, later = [0.0] * len(steps), 0.0
    for t in reversed(range(len(steps))):
        ended = steps[t].terminated or steps[t].truncated
        if not episodic or not ended:
            following = value(seen[t])
        else:
            following = 0.0 if steps[t].terminated else value(steps[t].next_obs)
            later = 0.0
        later = rewards[t] + gamma * following - value(steps[t].obs) + gamma * lam * later
        out[t] = later
    return out
