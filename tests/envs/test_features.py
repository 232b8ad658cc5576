"""Feature adapters: values against the true state, events against scripted play, and hostile input."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle
import gymnasium as gym
import minigrid  # noqa: F401  (registers its ids)
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.envs.foreign.feature_adapter import Extractor, FeatureAdapter, Moment
from shapegym.envs.foreign.ready_features import adapt_features

READY_IDS = (
    "MiniGrid-DoorKey-5x5-v0",
    "MiniGrid-LavaGapS5-v0",
    "MiniGrid-KeyCorridorS3R1-v0",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Acrobot-v1",
    "CartPole-v1",
    "Pendulum-v1",
    "FrozenLake-v1",
    "CliffWalking-v1",
    "Taxi-v4",
)
LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
STEPS_TO = {0: (1, 0), 1: (0, 1), 2: (-1, 0), 3: (0, -1)}


@pytest.mark.parametrize("env_id", READY_IDS)
def test_every_declared_feature_is_in_its_space_at_every_moment(env_id: str) -> None:
    env = adapt_features(gym.make(env_id))
    env.action_space.seed(0)
    features = env.get_wrapper_attr("features")
    _, info = env.reset(seed=0)
    for _ in range(60):
        for name, space in features.items():
            value = info[name]
            exact = np.asarray(value, dtype=space.dtype) if isinstance(space, Box) else value
            assert space.contains(exact), f"{name} = {value!r} is outside {space}"
            assert space.shape != () or isinstance(value, bool | int | float)
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            _, info = env.reset()


def test_doorkey_events_of_a_scripted_solution() -> None:
    env = adapt_features(gym.make("MiniGrid-DoorKey-6x6-v0"))
    captions = env.get_wrapper_attr("captions")
    _, info = env.reset(seed=3)
    assert (info["event"], info["success"], info["doors_locked"], info["has_key"]) == (0, False, 1, False)
    heard = []

    def act(action: int) -> dict[str, Any]:
        *_, info = env.step(action)
        heard.append(captions[info["event"]])
        return info

    def face_and_stop_before(cell: np.ndarray) -> None:
        for move in plan(env.unwrapped, tuple(cell)):
            act(move)

    key, door = info["key_pos"], info["door_pos"]
    face_and_stop_before(key)
    assert act(PICKUP)["has_key"]
    assert heard[-1] == "you pick up an object"
    dropped = act(DROP)
    assert (heard[-1], dropped["has_key"]) == ("you drop an object", False)
    np.testing.assert_array_equal(dropped["key_pos"], key)
    picked = act(PICKUP)
    np.testing.assert_array_equal(picked["key_pos"], (-1, -1))
    face_and_stop_before(door)
    assert act(FORWARD)["event"] == captions.index("you bump into something")
    unlocked = act(TOGGLE)
    assert (heard[-1], unlocked["doors_open"], unlocked["doors_locked"]) == ("you unlock a door", 1, 0)
    act(TOGGLE)
    act(TOGGLE)
    assert heard[-2:] == ["you close a door", "you open a door"]
    act(FORWARD)
    face_and_stop_before(info["goal_pos"])
    solved = act(FORWARD)
    assert heard[-1] == "you reach the goal"
    assert solved["success"]


def plan(env: Any, target: tuple[int, int]) -> list[int]:
    """Actions that leave the agent facing the target cell, by breadth-first search."""
    start = (int(env.agent_pos[0]), int(env.agent_pos[1]), int(env.agent_dir))
    frontier, came_from = [start], {start: []}
    while frontier:
        x, y, direction = frontier.pop(0)
        path = came_from[x, y, direction]
        ahead = (x + STEPS_TO[direction][0], y + STEPS_TO[direction][1])
        if ahead == target:
            return path
        cell = env.grid.get(*ahead)
        moves = [((x, y, (direction - 1) % 4), LEFT), ((x, y, (direction + 1) % 4), RIGHT)]
        if cell is None or cell.can_overlap():
            moves.append(((*ahead, direction), FORWARD))
        for state, action in moves:
            if state not in came_from:
                came_from[state] = [*path, action]
                frontier.append(state)
    raise AssertionError(f"no path to {target}")


def test_minigrid_tells_lava_from_the_goal() -> None:
    env = adapt_features(gym.make("MiniGrid-LavaGapS5-v0"))
    captions = env.get_wrapper_attr("captions")
    _, info = env.reset(seed=0)
    cells = env.unwrapped.grid.encode()[..., 0]
    lava = tuple(np.argwhere(cells == 9)[0])
    for move in [*plan(env.unwrapped, lava), FORWARD]:
        *_, terminated, _, info = env.step(move)
    assert terminated
    assert (captions[info["event"]], info["success"]) == ("you step into lava", False)


@pytest.mark.parametrize(
    ("env_id", "names"),
    [("MountainCar-v0", ("position", "velocity")), ("CartPole-v1", ("cart_position", None, "angle", None))],
)
def test_classic_control_features_are_the_state(env_id: str, names: tuple[str | None, ...]) -> None:
    env = adapt_features(gym.make(env_id))
    _, info = env.reset(seed=1)
    for _ in range(5):
        for name, value in zip(names, env.unwrapped.state, strict=True):
            assert name is None or info[name] == pytest.approx(value)
        *_, info = env.step(env.action_space.n - 1)


def test_heights_and_angles_follow_their_formulas() -> None:
    car, acrobot = adapt_features(gym.make("MountainCar-v0")), adapt_features(gym.make("Acrobot-v1"))
    _, info = car.reset(seed=2)
    assert info["height"] == pytest.approx(car.unwrapped._height(car.unwrapped.state[0]))
    _, info = acrobot.reset(seed=2)
    assert info["tip_height"] == pytest.approx(-2.0, abs=0.1)
    *_, terminated, _, info = acrobot.step(0)
    assert info["success"] == terminated == (info["tip_height"] > 1.0)


def test_toy_text_coordinates_and_events() -> None:
    lake = adapt_features(gym.make("FrozenLake-v1", is_slippery=False))
    captions = lake.get_wrapper_attr("captions")
    _, info = lake.reset(seed=0)
    np.testing.assert_array_equal(info["goal_pos"], (3, 3))
    for action in (1, 1, 2, 1, 2, 2):
        *_, info = lake.step(action)
    np.testing.assert_array_equal(info["agent_pos"], (3, 3))
    assert (captions[info["event"]], info["success"], info["state"]) == ("you reach the goal", True, 15)
    lake.reset()
    for action in (1, 2):
        *_, info = lake.step(action)
    assert (captions[info["event"]], info["success"]) == ("you fall into a hole", False)

    cliff = adapt_features(gym.make("CliffWalking-v1"))
    cliff.reset(seed=0)
    *_, terminated, _, info = cliff.step(1)
    assert not terminated
    assert cliff.get_wrapper_attr("captions")[info["event"]] == "you fall off the cliff"


def test_taxi_delivery() -> None:
    env = adapt_features(gym.make("Taxi-v4"))
    captions = env.get_wrapper_attr("captions")
    env.reset(seed=0)
    env.unwrapped.s = env.unwrapped.encode(0, 0, 0, 2)
    *_, info = env.step(5)
    assert captions[info["event"]] == "you may not do that here"
    *_, info = env.step(4)
    assert (captions[info["event"]], info["passenger"], info["destination"]) == (
        "you pick up the passenger",
        4,
        2,
    )
    env.unwrapped.s = env.unwrapped.encode(4, 0, 4, 2)
    *_, info = env.step(5)
    assert (captions[info["event"]], info["success"]) == ("you deliver the passenger", True)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_infos_hold_every_lane_in_the_declared_dtype(mode: AutoresetMode) -> None:
    def make() -> gym.Env[Any, Any]:
        return adapt_features(gym.make("MiniGrid-DoorKey-5x5-v0", max_steps=7))

    envs = SyncVectorEnv([make] * 3, autoreset_mode=mode)
    twins = [make() for _ in range(3)]
    envs.action_space.seed(0)
    _, infos = envs.reset(seed=5)
    expected = [twin.reset(seed=5 + lane)[1] for lane, twin in enumerate(twins)]
    for _ in range(6):
        for name, space in twins[0].get_wrapper_attr("features").items():
            assert infos[name].dtype == space.dtype
            np.testing.assert_array_equal(infos[name], np.stack([info[name] for info in expected]))
        actions = envs.action_space.sample()
        *_, infos = envs.step(actions)
        expected = [twin.step(action)[4] for twin, action in zip(twins, actions, strict=True)]


def test_sb3_infos_hold_the_features_of_each_lane() -> None:
    venv = DummyVecEnv([lambda: adapt_features(gym.make("MountainCar-v0"))] * 2)
    venv.seed(0)
    venv.reset()
    assert {"position", "height", "success"} <= set(venv.reset_infos[1])
    *_, infos = venv.step(np.array([2, 0]))
    assert infos[0]["velocity"] > infos[1]["velocity"]


def test_copies_through_pickle_go_on_alike() -> None:
    original = adapt_features(gym.make("MiniGrid-DoorKey-5x5-v0"))
    original.reset(seed=0)
    original.step(LEFT)
    for copy in (pickle.loads(pickle.dumps(original)), cloudpickle.loads(cloudpickle.dumps(original))):
        assert copy.get_wrapper_attr("features") == original.get_wrapper_attr("features")
        *_, info = copy.step(FORWARD)
        assert set(original.get_wrapper_attr("features")) <= set(info)


def test_a_spec_rebuilds_the_adapter() -> None:
    env = adapt_features(gym.make("MountainCar-v0"))
    again = gym.make(env.spec)
    assert again.get_wrapper_attr("features") == env.get_wrapper_attr("features")


def test_adapters_stack_and_later_extractors_see_earlier_ones() -> None:
    steps = Extractor(
        Discrete(100), lambda moment: 0 if moment.before is None else moment.before["steps"] + 1
    )
    double = Extractor(Discrete(200), lambda moment: 2 * moment.now["steps"])
    env = FeatureAdapter(adapt_features(gym.make("CartPole-v1")), {"steps": steps, "double": double})
    env.reset(seed=0)
    env.step(0)
    *_, info = env.step(1)
    assert (info["steps"], info["double"]) == (2, 4)
    assert {"angle", "steps", "double"} <= set(env.features)
    _, info = env.reset()
    assert info["steps"] == 0


class Unknown(gym.Env[Any, Any]):
    observation_space = Discrete(1)
    action_space = Discrete(1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {}


def test_errors_say_what_is_wrong_and_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"No ready feature set for Unknown.*MiniGridEnv.*Extractor\("):
        adapt_features(Unknown())
    with pytest.raises(TypeError, match="'speed': expected an Extractor"):
        FeatureAdapter(Unknown(), {"speed": 3.0})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="'angle' is already provided"):
        FeatureAdapter(
            adapt_features(gym.make("CartPole-v1")), {"angle": Extractor(Discrete(2), lambda _: 0)}
        )
    captioned = Extractor(Discrete(1), lambda _: 0, captions=("",))
    with pytest.raises(ValueError, match="one list of event captions"):
        FeatureAdapter(Unknown(), {"event": captioned, "other": captioned})
    with pytest.raises(ValueError, match="shape") as caught:
        FeatureAdapter(Unknown(), {"wrong": Extractor(Discrete(2), lambda _: (0, 1))}).reset()
    assert "feature 'wrong'" in caught.value.__notes__[0]


def test_own_features_are_left_as_they_are() -> None:
    env = adapt_features(gym.make("CartPole-v1"))
    assert adapt_features(env) is env


class _Walker(gym.Env[Any, Any]):
    """Moves the array that holds its position."""

    observation_space = Box(0, 9, (1,), np.float64)
    action_space = Discrete(1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.position = np.zeros(1)
        return self.position.copy(), {}

    def step(self, action: int) -> Any:
        self.position += 1
        return self.position.copy(), 0.0, False, False, {}


def test_features_of_the_past_stay_as_they_were() -> None:
    space = Box(0, 9, (1,), np.float64)

    def moved(moment: Moment) -> Any:
        return moment.now["position"] - (0.0 if moment.before is None else moment.before["position"])

    extractors = {
        "position": Extractor(space, lambda moment: moment.env.position),
        "moved": Extractor(space, moved),
    }
    env = FeatureAdapter(_Walker(), extractors)
    _, first = env.reset(seed=0)
    *_, second = env.step(0)
    assert (first["position"], second["position"], second["moved"]) == (0.0, 1.0, 1.0)
