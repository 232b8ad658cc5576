"""Grid worlds of several packages as contestants that play the same random actions.

A peer that is not installed raises ImportError; `pip install -c constraints.txt -e ".[bench]"` installs all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import gymnasium as gym
import numba
import numpy as np
from numpy.typing import NDArray
from racing import Contestant

import shapegym  # noqa: F401  registers the ids

PEER_ID = "MiniGrid-DoorKey-8x8-v0"
"""The task that every peer has."""
ROWS = 256
"""Batches of actions, played over and over."""
COMMON_ACTIONS = 6
"""MiniGrid's actions without `done`, which does nothing here and which XLand-MiniGrid lacks."""


def random_actions(lanes: int, count: int = COMMON_ACTIONS) -> NDArray[np.int64]:
    """Numbers below `count`, (ROWS, lanes), the same for everyone who asks for as many."""
    return np.random.default_rng(0).integers(count, size=(ROWS, lanes))


def vector_form(
    name: str,
    env_id: str,
    lanes: int,
    *,
    copy: bool = True,
    threads: int | None = None,
    count: int = COMMON_ACTIONS,
) -> Contestant:
    """Our vector form, as `gymnasium.make_vec` makes it by default; `threads` None leaves Numba its own number."""
    envs = gym.make_vec(f"shapegym/{env_id}", lanes, copy=copy)
    play = _vector_loop(envs, random_actions(lanes, count))

    def play_on_threads(steps: int) -> None:
        before = numba.get_num_threads()
        numba.set_num_threads(threads or before)
        play(steps)
        numba.set_num_threads(before)

    return Contestant(name, lanes, play_on_threads)


def single_form(name: str, full_id: str, count: int = COMMON_ACTIONS) -> Contestant:
    """One environment of `gymnasium.make`, in a loop."""
    env = gym.make(full_id)
    actions = cycle(random_actions(16, count).ravel().tolist())
    env.reset(seed=0)

    def play(steps: int) -> None:
        for _ in range(steps):
            _, _, terminated, truncated, _ = env.step(next(actions))
            if terminated or truncated:
                env.reset()

    return Contestant(name, 1, play)


def minigrid_loop(name: str, env_id: str, count: int = COMMON_ACTIONS) -> Contestant:
    """The original: a single environment in a loop, which is what a DummyVecEnv of any number of lanes runs."""
    import minigrid  # noqa: F401  registers the ids

    return single_form(name, env_id, count)


def envpool(lanes: int) -> Contestant:
    """EnvPool's C++ environments, all lanes a step, on as many threads as there are cores."""
    import envpool

    envs = envpool.make_gymnasium(PEER_ID, num_envs=lanes, seed=0)
    return Contestant("envpool", lanes, _vector_loop(envs, random_actions(lanes).astype(np.int32)))


def xminigrid(lanes: int) -> Contestant:
    """XLand-MiniGrid on JAX; its view has no walls that hide things."""
    import jax
    import xminigrid
    from xminigrid.wrappers import GymAutoResetWrapper

    env, params = xminigrid.make("MiniGrid-DoorKey-8x8")
    env = GymAutoResetWrapper(env)
    begin = jax.jit(jax.vmap(lambda key: env.reset(params, key)))
    step = jax.jit(jax.vmap(lambda timestep, action: env.step(params, timestep, action)))
    renumbered = np.array([2, 1, 0, 3, 4, 5])[random_actions(lanes)]
    return Contestant("xminigrid", lanes, _jax_loop(lanes, begin, step, renumbered))


def navix(lanes: int) -> Contestant:
    """NAVIX on JAX, with MiniGrid's kind of view."""
    import jax
    import navix

    # Its ids without "Random" have one start, and its default limit is shorter.
    env = navix.make(
        "Navix-DoorKey-Random-8x8-v0",
        max_steps=640,
        observation_fn=navix.observations.symbolic_first_person,
    )
    begin, step = jax.jit(jax.vmap(env.reset)), jax.jit(jax.vmap(env.step))
    return Contestant("navix", lanes, _jax_loop(lanes, begin, step, random_actions(lanes)))


PEERS: dict[str, Callable[[int], Contestant]] = {
    "minigrid": lambda lanes: minigrid_loop("minigrid", PEER_ID),
    "envpool": envpool,
    "xminigrid": xminigrid,
    "navix": navix,
}
"""By the name of their package."""


def _vector_loop(envs: gym.vector.VectorEnv, actions: NDArray[np.integer]) -> Callable[[int], None]:
    rows = cycle(actions)
    envs.reset()

    def play(steps: int) -> None:
        for _ in range(steps):
            envs.step(next(rows))

    return play


def _jax_loop(
    lanes: int, begin: Callable, step: Callable, actions: NDArray[np.integer]
) -> Callable[[int], None]:
    """One compiled call a batch step, whose results stay on the device."""
    import jax

    rows = cycle([jax.device_put(row) for row in actions.astype(np.int32)])
    timestep = begin(jax.random.split(jax.random.key(0), lanes))

    def play(steps: int) -> None:
        nonlocal timestep
        for _ in range(steps):
            timestep = step(timestep, next(rows))
        jax.block_until_ready(timestep)

    return play
