"""The table of ids, and the two entry points that all of them share.

An id is data: a name, the builder of its dynamics, and the builder's arguments. `gymnasium.make(id, **knobs)`
and `gymnasium.make_vec(id, num_envs, **knobs)` pass further arguments on to the builder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import get_annotations
from typing import Any, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode

from shapegym.envs.dynamics import Dynamics
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.native import NativeEnv, NativeVectorEnv
from shapegym.envs.tabular.finite_dynamics import FiniteDynamics

NAMESPACE = "shapegym"
REWARD_THRESHOLD = 0.95
"""Share of the best expected return at which a task counts as solved; FrozenLake's 0.70 is such a share of its 0.74."""
_SINGLE_FORM = f"{__name__}:make_env"


@dataclass(frozen=True)
class EnvRow:
    """One id.

    Attributes:
        name: The id after the namespace, with version.
        builder: "module:function", a function that returns a `Dynamics` and is annotated with its class, or
            the class.
        max_steps: The time limit of its episodes, which Gymnasium knows as `max_episode_steps`.
        threshold: `REWARD_THRESHOLD` of what the best policy gets, where that is known exactly or is 1; None elsewhere.
        knobs: Arguments of the builder that differ from its defaults.
    """

    name: str
    builder: str
    max_steps: int
    threshold: float | None = None
    knobs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The full id, as `gymnasium.make` takes it."""
        return f"{NAMESPACE}/{self.name}"


_TABULAR = f"{__package__}.tabular"
_CONTROL = f"{__package__}.control"
_HACK = f"{__package__}.hack"
_GRID = f"{__package__}.grid.families"

TABLE: tuple[EnvRow, ...] = (
    EnvRow("Corridor-v0", f"{_TABULAR}.corridor:corridor", 200, 0.95),
    EnvRow("CorridorLong-v0", f"{_TABULAR}.corridor:corridor", 1000, 0.95, {"length": 100}),
    EnvRow("CorridorReset-v0", f"{_TABULAR}.corridor:corridor", 100, 0.95, {"length": 10, "setback": 9}),
    EnvRow("DeepSea-v0", f"{_TABULAR}.deep_sea:deep_sea", 10, 0.94),
    EnvRow("DeepSeaHard-v0", f"{_TABULAR}.deep_sea:deep_sea", 20, 0.94, {"size": 20}),
    EnvRow("DeepSeaStochastic-v0", f"{_TABULAR}.deep_sea:deep_sea", 10, 0.36, {"stochastic": True}),
    EnvRow("RiverSwim-v0", f"{_TABULAR}.river_swim:river_swim", 120, 6.9),
    EnvRow("RiverSwimLong-v0", f"{_TABULAR}.river_swim:river_swim", 400, 20.19, {"length": 20}),
    EnvRow("CombinationLock-v0", f"{_TABULAR}.combination_lock:combination_lock", 80, 0.95),
    EnvRow(
        "CombinationLockJam-v0",
        f"{_TABULAR}.combination_lock:combination_lock",
        60,
        0.95,
        {"length": 6, "on_error": "jam"},
    ),
    EnvRow("FourRooms-v0", f"{_TABULAR}.four_rooms:four_rooms", 220, 0.95),
    EnvRow(
        "FourRoomsSlippery-v0",
        f"{_TABULAR}.four_rooms:four_rooms",
        220,
        0.95,
        {"slip": 1 / 3, "random_start": True},
    ),
    EnvRow("FourRoomsLarge-v0", f"{_TABULAR}.four_rooms:four_rooms", 380, 0.95, {"size": 19}),
    EnvRow("OpenGrid-v0", f"{_TABULAR}.open_grid:open_grid", 40, 0.95),
    EnvRow("KeyDoor-v0", f"{_TABULAR}.key_door:key_door", 196, 0.95),
    EnvRow("KeyDoorSmall-v0", f"{_TABULAR}.key_door:key_door", 100, 0.95, {"size": 5}),
    EnvRow("KeyDoorLarge-v0", f"{_TABULAR}.key_door:key_door", 484, 0.95, {"size": 11}),
    EnvRow("ToolCalls-v0", f"{_HACK}.tool_calls:tool_calls", 12, 0.9),
    EnvRow("ToolChain-v0", f"{_HACK}.tool_calls:tool_chain", 12, 0.9),
    EnvRow("TomatoWatering-v0", f"{_HACK}.tomato_watering:tomato_watering", 100, 6.5),
    EnvRow("BoatRace-v0", f"{_HACK}.boat_race:boat_race", 80, 2.85),
    EnvRow("Vases-v0", f"{_HACK}.vases:vases", 60, 0.95),
    EnvRow("MisleadingCorridor-v0", f"{_HACK}.misleading_corridor:misleading_corridor", 100, 0.95),
    EnvRow("MountainCar-v0", f"{_CONTROL}.mountain_car:MountainCar", 200, 0.95),
    EnvRow(
        "MountainCarContinuous-v0",
        f"{_CONTROL}.mountain_car:MountainCar",
        999,
        0.95,
        {"continuous": True, "max_steps": 999},
    ),
    EnvRow("Acrobot-v0", f"{_CONTROL}.acrobot:Acrobot", 500, 0.95),
    EnvRow("CartPoleSwingUp-v0", f"{_CONTROL}.cartpole_swingup:CartPoleSwingUp", 500, 0.95),
    EnvRow(
        "CartPoleSwingUpDiscrete-v0",
        f"{_CONTROL}.cartpole_swingup:CartPoleSwingUp",
        500,
        0.95,
        {"discrete": True},
    ),
    EnvRow("PointMaze-v0", f"{_CONTROL}.point_maze:PointMaze", 300, 0.95),
    EnvRow("PointMazeOpen-v0", f"{_CONTROL}.point_maze:PointMaze", 300, 0.95, {"layout": "open"}),
    EnvRow("PointMazeMedium-v0", f"{_CONTROL}.point_maze:PointMaze", 300, 0.95, {"layout": "medium"}),
    EnvRow(
        "PointMazeLarge-v0",
        f"{_CONTROL}.point_maze:PointMaze",
        600,
        0.95,
        {"layout": "large", "max_steps": 600},
    ),
    EnvRow(
        "PointMazeGoal-v0",
        f"{_CONTROL}.point_maze:PointMaze",
        300,
        0.95,
        {"layout": "medium", "random_start": True, "random_goal": True, "goal_conditioned": True},
    ),
    *(
        EnvRow(name, f"{_GRID}.{builder}", max_steps, knobs=knobs)
        for name, builder, max_steps, knobs in GRID_IDS
    ),
)


def build(builder: str, *, id_limit: int | None = None, **knobs: Any) -> Dynamics:
    """The dynamics of an id, without an environment around them, from its row or from the arguments in its spec.

    The limit of the id is an environment's business, and plays no part.
    A builder that is annotated to return a bare `FiniteTask` also takes ``observation``, and those of all finite tasks take
    ``features``, as `FiniteDynamics` does.
    """
    del id_limit
    shown = {}
    if "observation" in knobs and issubclass(_made_by(builder), FiniteTask):
        shown["observation"] = knobs.pop("observation")
    if "features" in knobs and issubclass(_made_by(builder), FiniteTask | FiniteDynamics):
        shown["features"] = knobs.pop("features")
    made: Any = load_env_creator(builder)(**knobs)
    if isinstance(made, FiniteDynamics) and shown:
        return FiniteDynamics(made.task, made.observation, **shown)
    return FiniteDynamics(made, **shown) if isinstance(made, FiniteTask) else cast("Dynamics", made)


def dynamics_class(spec: EnvSpec) -> type[Dynamics]:
    """The class of what an id plays, told by its builder without building anything.

    `Dynamics` itself, which offers nothing on request, for an id of another kind.
    """
    if spec.entry_point != _SINGLE_FORM or "builder" not in spec.kwargs:
        return Dynamics
    made = _made_by(spec.kwargs["builder"])
    return (
        FiniteDynamics if issubclass(made, FiniteTask) else made if issubclass(made, Dynamics) else Dynamics
    )


def _made_by(name: str) -> type:
    """What a builder is, or is annotated to return; `object` if it does not say."""
    builder: Any = load_env_creator(name)
    made = builder if isinstance(builder, type) else get_annotations(builder).get("return")
    if isinstance(made, str):  # which it is under `from __future__ import annotations`
        made = builder.__globals__.get(made)
    return made if isinstance(made, type) else object


def register_task(id: str, builder: Callable[..., FiniteTask | Dynamics] | str, **knobs: Any) -> None:
    """Give a task of your own an id; it is then played, single and vectorised, trained on, solved and audited as ours are.

    Args:
        id: such as "Mine/Walk-v0".
        builder: a function at the top of a module, or its name "module:function", that returns a `FiniteTask`
            (`shapegym.envs.outcomes.finite_task` makes one) or a `Dynamics`; environments are made by calling it.
        **knobs: its arguments; `gymnasium.make` takes others.

    Raises:
        TypeError: the function cannot be found by a name, as workers have to find it.
    """
    if not isinstance(builder, str):
        if "<" in builder.__qualname__ or "." in builder.__qualname__:
            raise TypeError(
                f"{builder.__qualname__} is no function at the top of a module, where workers could find it"
            )
        builder = f"{builder.__module__}:{builder.__qualname__}"
    _register(id, {"builder": builder, **knobs})


def make_env(
    builder: str, *, render_mode: str | None = None, id_limit: int | None = None, **knobs: Any
) -> NativeEnv:
    """Entry point of the single form of every id in the table.

    `gymnasium.make` cuts episodes by a wrapper, so an environment of a registered limit has none inside, and a longer one can be
    asked for.

    Args:
        builder: Of the dynamics.
        render_mode: See `NativeEnv`.
        id_limit: The limit that the id is registered with; None for an environment that keeps its own.
        **knobs: Of the builder.
    """
    dynamics = build(builder, **knobs)
    if id_limit is None:
        return NativeEnv(dynamics, render_mode=render_mode)
    return NativeEnv(dynamics, render_mode=render_mode, max_episode_steps=-1, id_limit=id_limit)


def make_vector_env(
    builder: str,
    num_envs: int,
    *,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    copy: bool = True,
    render_mode: str | None = None,
    id_limit: int | None = None,
    max_episode_steps: int | None = None,
    **knobs: Any,
) -> NativeVectorEnv:
    """Entry point of the vector form of every id in the table.

    `gymnasium.make_vec` fills in the limit of the id where none is asked for, whatever the arguments say; the task knows better.
    """
    return NativeVectorEnv(
        build(builder, **knobs),
        num_envs,
        autoreset_mode=autoreset_mode,
        copy=copy,
        render_mode=render_mode,
        max_episode_steps=None if max_episode_steps == id_limit else max_episode_steps,
    )


def register_all() -> None:
    """Register every id of the table with Gymnasium; a second call changes nothing."""
    for row in TABLE:
        if row.id not in gym.registry:
            _register(
                row.id,
                {"builder": row.builder, "id_limit": row.max_steps, **row.knobs},
                max_episode_steps=row.max_steps,
                reward_threshold=row.threshold,
            )


def _register(id: str, kwargs: dict[str, Any], **known: Any) -> None:
    gym.register(
        id, entry_point=_SINGLE_FORM, vector_entry_point=f"{__name__}:make_vector_env", kwargs=kwargs, **known
    )
