"""A policy that solves grid worlds: it does the next needed thing (ways/needs.py), by a shortest way.

It reads the whole state, where agents see a part. Its episodes serve tests, recordings and imitation. A way is shortest
in actions, turns counted; the order of things is the one with the fewest stages, so an episode need not be
the shortest there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs.dynamics import State
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.unwrapping import grid_lanes, grid_world
from shapegym.envs.grid.ways.needs import ACTION, need_lanes
from shapegym.envs.native import NativeVectorEnv


def plan_actions(dynamics: GridDynamics, state: State) -> NDArray[np.int64]:
    """The planner's actions (B,) in the lanes of `state`.

    Where nothing is needed (Playground), or nothing helps any more, it wanders about.
    """
    actions = np.empty(len(state["facts"]), np.int64)
    everyone = np.ones(len(actions), np.bool_)
    need_lanes(ACTION, dynamics.task, dynamics.pad, state["cells"], state["facts"], everyone, actions)
    return actions


class Planner:
    """The policy of one environment.

    Example:
        env = gymnasium.make("shapegym/MiniGrid-DoorKey-8x8-v0")
        env.reset(seed=0)
        planner = Planner(env)
        env.step(planner.actions())
    """

    def __init__(self, env: Any) -> None:
        """Play for `env`.

        Args:
            env: A grid world, single or vector form, wrapped or not.

        Raises:
            TypeError: `env` is no grid world.
        """
        self._world = grid_world(env)

    def actions(self) -> Any:
        """What to do now: an int for the single form, (B,) int64 for the vector form.

        Raises:
            ResetNeeded: The environment was never reset.
        """
        actions = plan_actions(*grid_lanes(self._world))
        return actions if isinstance(self._world, NativeVectorEnv) else int(actions[0])
