"""Ready feature sets for environments that are not ours: MiniGrid, classic control and toy text.

`adapt_features(env)` finds the set by the class of the unwrapped environment. Every set declares what can
be read from the environment's true state; `success` wherever the task has one, and `event` with `captions`
wherever steps have describable outcomes. Cells are (x, y) in MiniGrid and (row, column) in toy text, as
there; the cell of a thing that is absent is (-1, -1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete

from shapegym.envs.foreign.feature_adapter import Extractor, FeatureAdapter, Moment
from shapegym.envs.foreign.kinds import MINIGRID, kinds_of
from shapegym.envs.grid.lane.stepping import CAPTIONS


def adapt_features(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Add the ready feature set of its kind to an environment; one with features stays as it is.

    Args:
        env: A MiniGrid, classic-control or toy-text environment, in any wrappers, or one of this project.

    Raises:
        TypeError: If no ready set knows the environment; the message shows how to write an extractor.
    """
    if env.has_wrapper_attr("features"):
        return env
    for kind in kinds_of(env):
        if kind in _READY_SETS:
            return FeatureAdapter(env, _READY_SETS[kind](env.unwrapped))
    raise TypeError(
        f"No ready feature set for {type(env.unwrapped).__qualname__}. Known are: "
        f"{', '.join(name.rsplit('.', 1)[1] for name in _READY_SETS)} and their subclasses. For another "
        "environment, say how each feature is read: FeatureAdapter(env, {'distance': "
        "Extractor(Box(0.0, np.inf, (), np.float64), lambda moment: moment.env.distance_to_goal())})."
    )


def _flag(read: Callable[[Moment], Any]) -> Extractor:
    return Extractor(Box(0, 1, (), np.bool_), read)


def _number(low: float, high: float, read: Callable[[Moment], Any]) -> Extractor:
    return Extractor(Box(low, high, (), np.float64), read)


def _cell(shape: tuple[int, ...], read: Callable[[Moment], Any]) -> Extractor:
    return Extractor(Box(-1, np.array(shape) - 1, (len(shape),), np.int64), read)


def _event(captions: tuple[str, ...], read: Callable[[Moment], int]) -> Extractor:
    return Extractor(Discrete(len(captions)), read, captions)


def _terminated(moment: Moment) -> bool:
    return moment.terminated


def _paid_end(moment: Moment) -> bool:
    return moment.terminated and moment.reward > 0


# --- MiniGrid (Chevalier-Boisvert et al. 2023); object, colour and action numbers are the package's ---


_EMPTY, _WALL, _DOOR, _KEY, _BOX, _GOAL, _LAVA = 1, 2, 4, 5, 7, 8, 9
_OPEN, _LOCKED = 0, 2
_FORWARD, _TOGGLE = 2, 5


def _cells(env: Any) -> npt.NDArray[np.int64]:
    """Return the grid as (width, height, 3): object type, colour and state of every cell."""
    return np.asarray(env.grid.encode(), dtype=np.int64)


def _first_cell(moment: Moment, kind: int) -> tuple[int, int]:
    """Return (x, y) of the first cell, column by column, with an object of the kind, else (-1, -1)."""
    found = np.argwhere(moment.shared(_cells)[..., 0] == kind)
    return (int(found[0, 0]), int(found[0, 1])) if len(found) else (-1, -1)


def _doors_in_state(moment: Moment, state: int) -> int:
    cells = moment.shared(_cells)
    return int(((cells[..., 0] == _DOOR) & (cells[..., 2] == state)).sum())


def _agent_pos(moment: Moment) -> Any:
    return moment.env.agent_pos


def _agent_dir(moment: Moment) -> int:
    return int(moment.env.agent_dir)


def _carrying(moment: Moment) -> int:
    carried = moment.env.carrying
    return _EMPTY if carried is None else int(carried.encode()[0])


def _carrying_color(moment: Moment) -> int:
    carried = moment.env.carrying
    return -1 if carried is None else int(carried.encode()[1])


def _has_key(moment: Moment) -> bool:
    return bool(moment.now["carrying"] == _KEY)


def _front(moment: Moment) -> int:
    x, y = moment.env.front_pos
    width, height = moment.env.width, moment.env.height
    # An agent that died on the border's lava may look outside the grid, where it sees walls.
    return int(moment.shared(_cells)[x, y, 0]) if 0 <= x < width and 0 <= y < height else _WALL


def _grid_event(moment: Moment) -> int:
    now, before = moment.now, moment.before
    if before is None:
        return 0
    under_agent = moment.shared(_cells)[tuple(now["agent_pos"])][0]
    moved = not np.array_equal(now["agent_pos"], before["agent_pos"])
    happened = (
        now["success"] and under_agent == _GOAL,
        now["success"],
        moment.terminated and under_agent == _LAVA,
        moment.terminated,
        before["carrying"] == _EMPTY != now["carrying"],
        before["carrying"] != _EMPTY == now["carrying"],
        now["doors_locked"] < before["doors_locked"],
        now["doors_open"] > before["doors_open"],
        now["doors_open"] < before["doors_open"],
        moment.action == _FORWARD and not moved,
        moment.action == _TOGGLE and before["front"] == _BOX != now["front"],
    )
    # The first that holds, in the order of the captions, so that an episode's end hides what came with it.
    return next((event for event, held in enumerate(happened, start=1) if held), 0)


def _minigrid(env: Any) -> dict[str, Extractor]:
    shape = (env.width, env.height)
    return {
        "agent_pos": _cell(shape, _agent_pos),
        "agent_dir": Extractor(Discrete(4), _agent_dir),
        "carrying": Extractor(Discrete(11), _carrying),
        "carrying_color": Extractor(Discrete(7, start=-1), _carrying_color),
        "has_key": _flag(_has_key),
        "front": Extractor(Discrete(11), _front),
        "goal_pos": _cell(shape, partial(_first_cell, kind=_GOAL)),
        "key_pos": _cell(shape, partial(_first_cell, kind=_KEY)),
        "door_pos": _cell(shape, partial(_first_cell, kind=_DOOR)),
        "doors_open": Extractor(Discrete(env.width * env.height), partial(_doors_in_state, state=_OPEN)),
        "doors_locked": Extractor(Discrete(env.width * env.height), partial(_doors_in_state, state=_LOCKED)),
        "success": _flag(_paid_end),
        "event": _event(CAPTIONS, _grid_event),
    }


# --- Classic control ---


def _state(moment: Moment, index: int) -> float:
    return float(moment.env.state[index])


def _goal_position(moment: Moment) -> float:
    return float(moment.env.goal_position)


def _hill_height(moment: Moment) -> float:
    return float(0.45 * np.sin(3.0 * moment.env.state[0]) + 0.55)


def _tip_height(moment: Moment) -> float:
    theta_1, theta_2 = moment.env.state[:2]
    return float(-np.cos(theta_1) - np.cos(theta_1 + theta_2))


def _uprightness(moment: Moment, index: int) -> float:
    return float(np.cos(moment.env.state[index]))


def _survived(moment: Moment) -> bool:
    return moment.truncated and not moment.terminated


def _mountain_car(env: Any) -> dict[str, Extractor]:
    return {
        "position": _number(env.min_position, env.max_position, partial(_state, index=0)),
        "velocity": _number(-env.max_speed, env.max_speed, partial(_state, index=1)),
        "height": _number(0.1, 1.0, _hill_height),
        "goal_position": _number(env.min_position, env.max_position, _goal_position),
        "success": _flag(_terminated),
    }


def _acrobot(env: Any) -> dict[str, Extractor]:
    del env
    return {"tip_height": _number(-2.0, 2.0, _tip_height), "success": _flag(_terminated)}


def _cartpole(env: Any) -> dict[str, Extractor]:
    del env
    return {
        "cart_position": _number(-np.inf, np.inf, partial(_state, index=0)),
        "angle": _number(-np.inf, np.inf, partial(_state, index=2)),
        "upright": _number(-1.0, 1.0, partial(_uprightness, index=2)),
        "success": _flag(_survived),
    }


def _pendulum(env: Any) -> dict[str, Extractor]:
    del env
    return {
        "angle": _number(-np.inf, np.inf, partial(_state, index=0)),
        "upright": _number(-1.0, 1.0, partial(_uprightness, index=0)),
    }


# --- Toy text ---


_LAKE_CAPTIONS = ("", "you fall into a hole", "you reach the goal")
_CLIFF_CAPTIONS = ("", "you fall off the cliff", "you reach the goal")
_TAXI_CAPTIONS = (
    "",
    "you deliver the passenger",
    "you pick up the passenger",
    "you put down the passenger",
    "you may not do that here",
)
_CLIFF_REWARD = -100
_ILLEGAL_REWARD = -10
_IN_TAXI = 4


def _table_state(moment: Moment) -> int:
    return int(moment.env.s)


def _row_and_column(moment: Moment, shape: tuple[int, int]) -> Any:
    return np.unravel_index(moment.env.s, shape)


def _constant(moment: Moment, value: tuple[int, int]) -> tuple[int, int]:
    del moment
    return value


def _taxi_part(moment: Moment, part: slice | int) -> Any:
    return tuple(moment.env.decode(moment.env.s))[part]


def _on_lake_goal(moment: Moment) -> bool:
    return bool(moment.env.desc.flat[moment.env.s] == b"G")


def _lake_event(moment: Moment) -> int:
    return 2 if moment.now["success"] else int(moment.terminated)


def _cliff_event(moment: Moment) -> int:
    return 2 if moment.now["success"] else int(moment.reward == _CLIFF_REWARD)


def _taxi_event(moment: Moment) -> int:
    now, before = moment.now, moment.before
    if before is None:
        return 0
    happened = (
        now["success"],
        now["passenger"] == _IN_TAXI != before["passenger"],
        now["passenger"] != _IN_TAXI == before["passenger"],
        moment.reward == _ILLEGAL_REWARD,
    )
    return next((event for event, held in enumerate(happened, start=1) if held), 0)


def _frozen_lake(env: Any) -> dict[str, Extractor]:
    shape = (env.nrow, env.ncol)
    goals = np.argwhere(env.desc == b"G")
    goal = (int(goals[0, 0]), int(goals[0, 1])) if len(goals) else (-1, -1)
    return {
        "state": Extractor(env.observation_space, _table_state),
        "agent_pos": _cell(shape, partial(_row_and_column, shape=shape)),
        "goal_pos": _cell(shape, partial(_constant, value=goal)),
        "success": _flag(_on_lake_goal),
        "event": _event(_LAKE_CAPTIONS, _lake_event),
    }


def _cliff_walking(env: Any) -> dict[str, Extractor]:
    shape = (int(env.shape[0]), int(env.shape[1]))
    return {
        "state": Extractor(env.observation_space, _table_state),
        "agent_pos": _cell(shape, partial(_row_and_column, shape=shape)),
        "goal_pos": _cell(shape, partial(_constant, value=(shape[0] - 1, shape[1] - 1))),
        "success": _flag(_terminated),
        "event": _event(_CLIFF_CAPTIONS, _cliff_event),
    }


def _taxi(env: Any) -> dict[str, Extractor]:
    return {
        "state": Extractor(env.observation_space, _table_state),
        "agent_pos": _cell((5, 5), partial(_taxi_part, part=slice(0, 2))),
        "passenger": Extractor(Discrete(5), partial(_taxi_part, part=2)),
        "destination": Extractor(Discrete(4), partial(_taxi_part, part=3)),
        "success": _flag(_terminated),
        "event": _event(_TAXI_CAPTIONS, _taxi_event),
    }


_READY_SETS: dict[str, Callable[[Any], dict[str, Extractor]]] = {
    MINIGRID: _minigrid,
    "gymnasium.envs.classic_control.mountain_car.MountainCarEnv": _mountain_car,
    "gymnasium.envs.classic_control.continuous_mountain_car.Continuous_MountainCarEnv": _mountain_car,
    "gymnasium.envs.classic_control.acrobot.AcrobotEnv": _acrobot,
    "gymnasium.envs.classic_control.cartpole.CartPoleEnv": _cartpole,
    "gymnasium.envs.classic_control.pendulum.PendulumEnv": _pendulum,
    "gymnasium.envs.toy_text.frozen_lake.FrozenLakeEnv": _frozen_lake,
    "gymnasium.envs.toy_text.cliffwalking.CliffWalkingEnv": _cliff_walking,
    "gymnasium.envs.toy_text.taxi.TaxiEnv": _taxi,
}
