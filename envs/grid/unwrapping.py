"""The lanes of an environment, for whoever looks at a grid from outside of the shell."""

from __future__ import annotations

from typing import Any, cast

from shapegym.envs.dynamics import State
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.native import NativeEnv, NativeVectorEnv, dynamics_of


def grid_world(env: Any) -> NativeEnv | NativeVectorEnv:
    """The grid world inside of wrappers.

    Raises:
        TypeError: `env` is no grid world of this package.
    """
    if not isinstance(dynamics_of(env), GridDynamics):
        raise TypeError(f"expected a grid world (an id shapegym/MiniGrid-...), got {env}")
    return cast("NativeEnv | NativeVectorEnv", getattr(env, "unwrapped", env))


def grid_lanes(env: Any) -> tuple[GridDynamics, State]:
    """The dynamics of a grid world, and a copy of the present state of its lanes.

    Args:
        env: The single or the vector form, with or without wrappers around it.

    Raises:
        TypeError: `env` is no grid world of this package.
        ResetNeeded: It was never reset.
    """
    native = grid_world(env)
    snapshot = native.snapshot()
    dynamics: Any = native.dynamics
    return dynamics, {name: snapshot[f"state.{name}"] for name in ("cells", "facts", "streams")}
