"""A grid task as data: what distinguishes one of MiniGrid's environments from the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shapegym.envs.grid.lane.stepping import DONE

ResetLanes = Callable[..., int]


@dataclass(frozen=True)
class GridTask:
    """A family's layout and rule with its knobs filled in: what is left of MiniGrid's environment class.

    Attributes:
        name: Family and knobs, as text.
        width: Cells from left to right, walls included.
        height: Cells from top to bottom.
        max_steps: Steps after which an episode is truncated.
        rule: What the task asks for, from stepping.py.
        missions: Text of every mission id.
        aim: What the agent is to do, in a sentence that says nothing of pay.
        things: What the layout holds beside floor and outer walls: names of objects, "wall" for walls within.
        reset: Kernel (cells, facts, streams, mask, pad, *knobs) that lays the masked lanes out and returns the
            first lane that it could not lay out, or -1.
        knobs: Its last arguments.
        see_through_walls: Whether walls and doors do not block the view.
        actions: Number of actions, the first of MiniGrid's seven.
        obstacles: Number of moving obstacles.
    """

    name: str
    width: int
    height: int
    max_steps: int
    rule: int
    missions: tuple[str, ...]
    reset: ResetLanes
    knobs: tuple[Any, ...] = ()
    see_through_walls: bool = False
    actions: int = DONE + 1
    obstacles: int = 0
    aim: str = ""
    things: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what every family shares."""
        steps = self.max_steps
        if not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps < 2**63:
            raise ValueError(f"max_steps must be a positive integer, got {steps!r} (the largest is 2^63 - 1)")
