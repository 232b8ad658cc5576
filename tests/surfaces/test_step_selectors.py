"""What describes a step: its action, the one before, how the episode ended; of any space, on every surface."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo import ParallelEnv
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.errors import ExpressionError, ObservationError, ShapingError
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.parallel_env import ShapedParallelEnv
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Event
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.progress import Progress
from shapegym.shaping.types import Expression
from shapegym.shaping.weights.schedules import Linear, anneal

ARM = spaces.Box(-1.0, 1.0, (2,), np.float64)
BODY = spaces.Dict({"arm": ARM, "grip": spaces.Discrete(3), "gaits": spaces.Tuple((spaces.Discrete(4), ARM))})
RATE = StateReward(Distance("action", "previous_action", "l2_squared"))


class Still(gym.Env):
    """Nothing happens: an episode lasts three steps and is cut, every second one terminates after two."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, action_space: gym.Space) -> None:
        self.action_space = action_space
        self.number = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.number, self.t = self.number + 1, 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        short = self.number % 2 == 0
        return np.zeros(2, np.float32), 0.0, short and self.t == 2, not short and self.t == 3, {}


def on_gym(expression: Expression, actions: list[Any], space: gym.Space) -> list[float]:
    env = ShapedEnv(Still(space), expression)
    env.reset()
    rewards = []
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        if terminated or truncated:
            env.reset()
    return rewards


def on_vector(
    expression: Expression, actions: list[Any], space: gym.Space, mode: AutoresetMode
) -> list[float]:
    envs = ShapedVectorEnv(SyncVectorEnv([lambda: Still(space)] * 2, autoreset_mode=mode), expression)
    envs.reset()
    rewards, left = [], list(actions)
    while left:
        resets = mode is AutoresetMode.NEXT_STEP and envs._ended.any()
        action = left[0] if resets else left.pop(0)
        batch = gym.vector.utils.create_empty_array(space, 2)
        batch = gym.vector.utils.concatenate(space, [action, action], batch)
        _, reward, *_ = envs.step(batch)
        if not resets:
            rewards.append(float(reward[1]))
    return rewards


def on_sb3(expression: Expression, actions: list[Any], space: gym.Space) -> list[float]:
    venv = ShapedVecEnv(DummyVecEnv([lambda: Still(space)] * 2), expression)
    venv.reset()
    return [float(venv.step(np.array([action, action]))[1][0]) for action in actions]


class Together(ParallelEnv):
    """Two agents that both stand still, and begin anew when the episode has ended."""

    metadata: ClassVar[dict[str, Any]] = {"name": "together"}
    possible_agents: ClassVar[list[str]] = ["a", "b"]

    def __init__(self, space: gym.Space) -> None:
        self.lanes = {agent: Still(space) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> gym.Space:
        return Still.observation_space

    def action_space(self, agent: str) -> gym.Space:
        return self.lanes[agent].action_space

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(self.possible_agents)
        starts = {agent: lane.reset() for agent, lane in self.lanes.items()}
        return {a: start[0] for a, start in starts.items()}, {a: start[1] for a, start in starts.items()}

    def step(self, actions: Any) -> Any:
        results = {agent: self.lanes[agent].step(action) for agent, action in actions.items()}
        self.agents = [agent for agent in self.agents if not (results[agent][2] or results[agent][3])]
        return tuple({agent: result[column] for agent, result in results.items()} for column in range(5))


def on_pettingzoo(expression: Expression, actions: list[Any], space: gym.Space) -> list[float]:
    game = ShapedParallelEnv(Together(space), expression)
    game.reset()
    rewards = []
    for action in actions:
        rewards.append(game.step(dict.fromkeys(game.agents, action))[1]["b"])
        if not game.agents:
            game.reset()
    return rewards


SURFACES: dict[str, Callable[..., list[float]]] = {
    "gym": on_gym,
    "pettingzoo": on_pettingzoo,
    "next_step": partial(on_vector, mode=AutoresetMode.NEXT_STEP),
    "same_step": partial(on_vector, mode=AutoresetMode.SAME_STEP),
    "sb3": on_sb3,
}
every_surface = pytest.mark.parametrize("run", SURFACES.values(), ids=SURFACES)
MOVES = [np.array(move) for move in ([0.5, 0.0], [0.5, 1.0], [-0.5, 1.0], [1.0, 1.0], [1.0, 0.0])]


@every_surface
def test_box_actions_and_their_change(run: Callable[..., list[float]]) -> None:
    cost = StateReward(Distance("action", (0.0, 0.0), "l2_squared"))
    assert run(cost, MOVES, ARM) == [-0.25, -1.25, -1.25, -2.0, -1.0]
    assert run(StateReward("action[1]"), MOVES, ARM) == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert run(RATE, MOVES, ARM) == [0.0, -1.0, -1.0, 0.0, -1.0]  # an episode begins at the fourth step
    assert run(StateReward("previous_action[0]"), MOVES, ARM) == [0.5, 0.5, 0.5, 1.0, 1.0]


@every_surface
def test_discrete_actions_and_their_change(run: Callable[..., list[float]]) -> None:
    space, actions = spaces.Discrete(4), [2, 2, 0, 3, 2]
    assert run(Event("action", equals=2), actions, space) == [1, 1, 0, 0, 1]
    assert run(Compare("action", "!=", "previous_action"), actions, space) == [0, 0, 1, 0, 1]
    assert run(CountBonus("action", exponent=1.0, scope="episode"), actions, space) == [1, 0.5, 1, 1, 1]
    several = spaces.MultiDiscrete([3, 3])
    pairs = [np.array(pair) for pair in ([0, 2], [1, 2])]
    assert run(StateReward("action[1]") + StateReward("previous_action[0]"), pairs, several) == [2.0, 2.0]


@pytest.mark.parametrize("run", [on_gym, on_pettingzoo, SURFACES["next_step"], SURFACES["same_step"]])
def test_entries_of_dict_and_tuple_actions(run: Callable[..., list[float]]) -> None:
    actions = [
        {"arm": move, "grip": grip, "gaits": (gait, -move)}
        for move, grip, gait in zip(MOVES, (0, 2, 2, 1, 1), (3, 0, 1, 2, 2), strict=True)
    ]
    assert run(StateReward("action.arm[0]"), actions, BODY) == [0.5, 0.5, -0.5, 1.0, 1.0]
    assert run(Compare("action.grip", "!=", "previous_action.grip"), actions, BODY) == [0, 1, 0, 0, 0]
    assert run(StateReward("action.gaits.0"), actions, BODY) == [3, 0, 1, 2, 2]
    rate = StateReward(Distance("action.gaits.1", "previous_action.gaits.1", "l2_squared"))
    assert run(rate, actions, BODY) == [0.0, -1.0, -1.0, 0.0, -1.0]


@every_surface
def test_how_an_episode_ended(run: Callable[..., list[float]]) -> None:
    actions = [0] * 6
    assert run(Event("truncated"), actions, spaces.Discrete(2)) == [0, 0, 1, 0, 0, 0]
    assert run(Event("terminated", -2.0), actions, spaces.Discrete(2)) == [0, 0, 0, 0, -2, 0]
    assert run(Event("ended"), actions, spaces.Discrete(2)) == [0, 0, 1, 0, 1, 0]
    fallen = when(Event("terminated"), Event("action", 1.0, equals=0), 0.25 * Event("ended"))
    assert run(fallen, actions, spaces.Discrete(2)) == [0, 0, 0.25, 0, 1, 0]


@pytest.mark.parametrize(
    ("expression", "space", "error", "message"),
    [
        (Potential("action[0]", gamma=0.9), ARM, ExpressionError, "describes the step between them"),
        (
            Progress(Distance("previous_action", (0.0, 0.0))),
            ARM,
            ExpressionError,
            "'previous_action' describes the step",
        ),
        (Event("terminated", trigger="rise"), ARM, ExpressionError, "trigger='level'"),
        (
            StateReward("action"),
            ARM,
            ObservationError,
            r"selects 2 numbers a lane; pick one, e.g. 'action\[0\]'",
        ),
        (StateReward("action[2]"), ARM, ObservationError, "reads column 2, but there are only 2"),
        (
            StateReward("action"),
            BODY,
            ObservationError,
            r"action is a Dict, so 'action' is ambiguous.*'action.arm'",
        ),
        (StateReward("action.gaits"), BODY, ObservationError, r"e.g. 'action.gaits.0'"),
        (StateReward("action.gripp"), BODY, ObservationError, "Did you mean 'grip'"),
        (StateReward("previous_action.arms[0]"), BODY, ObservationError, "Did you mean 'arm'"),
        (StateReward("action.arm"), ARM, ObservationError, "names an entry, but the action is Box"),
    ],
)
def test_what_cannot_be_read_is_refused_when_it_is_bound(
    expression: Expression, space: gym.Space, error: type[ShapingError], message: str
) -> None:
    with pytest.raises(error, match=message):
        ShapedEnv(Still(space), expression)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("feature.agent_pos", "features.agent_pos"),
        ("Features.agent_pos[0]", "features.agent_pos[0]"),
        ("info.reward.angle", "features.reward.angle"),
        ("actions[0]", "action[0]"),
        ("prev_action", "previous_action"),
        ("terminate", "terminated"),
        ("done", "ended"),
        ("agent_pos", "features.agent_pos"),
    ],
)
def test_a_near_miss_names_the_selector_that_was_meant(text: str, near: str) -> None:
    for make in (Event, StateReward, Potential, lambda text: Distance(text, (0.0,))):
        with pytest.raises(ShapingError) as error:
            make(text)
        assert f"Did you mean {near!r}?" in str(error.value)


def test_the_action_before_survives_a_saved_state(tmp_path: Any) -> None:
    ours, theirs = (ShapedEnv(Still(ARM), RATE) for _ in range(2))
    for env in (ours, theirs):
        env.reset()
    ours.step(MOVES[0])
    ours.save(tmp_path / "state.npz")
    theirs.load(tmp_path / "state.npz")
    assert ours.engine.state_dict()["previous"].keys() == {"previous_action"}
    np.testing.assert_array_equal(
        *(env.engine.state_dict()["previous"]["previous_action"] for env in (ours, theirs))
    )


def test_a_replay_buffer_measures_the_change_of_a_stored_action_again() -> None:
    """Weights have moved on when a row is sampled, and the action before must be the one that came before."""
    weight = Linear(1.0, 0.0, 400)
    model = SAC(
        "MlpPolicy", Still(spaces.Box(-1, 1, (2,), np.float32)), learning_starts=200, buffer_size=80, seed=0
    )
    wire(model, TaskReward() + anneal(RATE, weight))
    model.learn(60)
    buffer = model.replay_buffer
    actions = buffer.actions[:60, 0]
    starts = [0, *(np.flatnonzero(buffer.dones[:59, 0]) + 1)]
    expected = np.zeros(60)
    for row in set(range(60)) - set(starts):
        expected[row] = -np.square(actions[row] - actions[row - 1]).sum()
    buffer.refresh(np.arange(60))
    np.testing.assert_allclose(
        buffer.rewards[:60, 0], expected * weight.weight_at(engine_of(model).clock), rtol=1e-5, atol=1e-6
    )
