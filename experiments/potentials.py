"""State functions for particular tasks, written the way users write theirs."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.states.functions import state_function
from shapegym.shaping.transitions import Features, Observation


@state_function(reads=("agent_pos", "key_pos", "door_pos", "goal_pos", "has_key", "doors_locked"))
def doorkey_progress(obs: Observation, features: Features) -> np.ndarray:
    """MiniGrid-DoorKey: minus the stages left (get the key, unlock the door, reach the goal) and a tenth of the cells to the next.

    It is 0 at the goal and negative elsewhere. A potential that is positive before the end takes its value back at the last step
    (Phi = 0 in a terminal state), which is harmless to optimal policies but hard on an agent that has seen the goal only once.
    """
    del obs
    agent = features["agent_pos"]

    def cells_to(thing: str) -> np.ndarray:
        return np.asarray(np.abs(agent - features[thing]).sum(axis=1) / 10)

    return np.where(
        features["doors_locked"] == 0,
        -cells_to("goal_pos"),
        np.where(features["has_key"], -1 - cells_to("door_pos"), -2 - cells_to("key_pos")),
    )


@state_function(reads=("needed_distance", "needed_stages"))
def needed_progress(obs: Observation, features: Features) -> np.ndarray:
    """Any MiniGrid task of this package: minus the stages left and a part of a stage for the steps d to the next, d / (d + 10).

    The environment must report what it reads: ``gym.make(id, features=("needed_distance", "needed_stages"))``. The part stays
    below 1 however far the next thing is, so doing the present one never lowers the potential: from stage k, next to the thing,
    -k - 1/11 becomes more than -(k - 1) - 1 = -k. It is 0 where the task is done, or asks for nothing, and negative elsewhere.
    """
    del obs
    distance = features["needed_distance"]
    return np.asarray(-features["needed_stages"] - distance / (distance + 10))


@state_function(reads=("agent_pos",))
def deep_sea_lag(obs: Observation, features: Features) -> np.ndarray:
    """DeepSea: minus how far the agent has fallen behind the diagonal that leads to the treasure, in columns."""
    del obs
    row, column = features["agent_pos"].T
    return np.asarray(column - row, dtype=np.float64)


@state_function(reads=("height", "velocity"))
def mountain_car_energy(obs: Observation, features: Features) -> np.ndarray:
    """Mountain car: mechanical energy less that of standing on the hill, over its span.

    The energy is E = g h / 3 / 0.45 + v^2 / 2 with g = 0.0025.

    About -1 at rest in the valley and 0 with just enough speed to roll up to the flag; pushing along the velocity raises it.
    """
    del obs
    energy = 0.0025 / 3 / 0.45 * features["height"] + features["velocity"] ** 2 / 2
    top, valley = 0.0025 / 3 / 0.45 * np.array([0.45 * np.sin(3 * 0.5) + 0.55, 0.1])
    return np.asarray((energy - top) / (top - valley), dtype=np.float64)
