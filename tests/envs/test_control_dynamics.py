"""Dynamics of the control tasks: against plain transcriptions, against Gymnasium's own, and their sparse rewards."""

from __future__ import annotations

from collections.abc import Mapping

import control_reference as reference
import gymnasium as gym
import numpy as np
import pytest

from shapegym.envs.control import acrobot, cartpole_swingup, mountain_car, point_maze
from shapegym.envs.control.acrobot import Acrobot
from shapegym.envs.control.cartpole_swingup import CartPoleSwingUp
from shapegym.envs.control.mountain_car import MountainCar
from shapegym.envs.control.point_maze import PointMaze
from shapegym.envs.dynamics import Dynamics, State, StepOutcome
from shapegym.envs.native import NativeVectorEnv

LANES = 16


def started(dynamics: Dynamics) -> State:
    state = dynamics.allocate(LANES)
    noise = np.random.default_rng(0).random((LANES, dynamics.reset_draws))
    dynamics.reset(state, noise, np.ones(LANES, np.bool_))
    return state


def advance(
    dynamics: Dynamics, state: State, actions: np.ndarray, active: np.ndarray | None = None
) -> StepOutcome:
    outcome = StepOutcome.empty(LANES)
    active = np.ones(LANES, np.bool_) if active is None else active
    dynamics.step(state, actions, np.empty((LANES, dynamics.step_draws)), active, outcome)
    return outcome


def random_actions(dynamics: Dynamics, rng: np.random.Generator) -> np.ndarray:
    if isinstance(dynamics.action_space, gym.spaces.Discrete):
        return rng.integers(0, dynamics.action_space.n, LANES)
    return rng.uniform(-1, 1, (LANES, *dynamics.action_space.shape)).astype(np.float32)


def observed(dynamics: Dynamics, state: State) -> np.ndarray:
    out = np.zeros((LANES, *dynamics.observation_space.shape), np.float32)
    dynamics.observe(state, out, np.ones(len(next(iter(state.values()))), np.bool_))
    return out


def measured(dynamics: Dynamics, state: State) -> Mapping[str, np.ndarray]:
    out = {name: np.zeros((LANES, *space.shape), space.dtype) for name, space in dynamics.features.items()}
    dynamics.measure(state, out, np.ones(len(next(iter(state.values()))), np.bool_))
    return out


def along_speed(dynamics: Dynamics, speed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Actions that pump energy, mixed with random ones, so that every limit of the state is met."""
    if isinstance(dynamics.action_space, gym.spaces.Discrete):
        pump = np.where(speed >= 0, 2, 0)
    else:
        pump = np.where(speed >= 0, 1, -1).astype(np.float32)[:, np.newaxis]
    keep = (rng.random(LANES) < 0.9).reshape(-1, *[1] * (pump.ndim - 1))
    return np.where(keep, pump, random_actions(dynamics, rng))


@pytest.mark.parametrize("continuous", [False, True])
def test_mountain_car_follows_its_reference(continuous: bool) -> None:
    dynamics, rng = MountainCar(continuous=continuous), np.random.default_rng(1)
    state, flagged, at_wall = started(dynamics), 0, 0
    for _ in range(300):
        before = state["car"].copy()
        actions = along_speed(dynamics, before[:, 1], rng)
        outcome = advance(dynamics, state, actions)
        for lane in range(LANES):
            push = float(actions[lane, 0]) * 0.0015 if continuous else (int(actions[lane]) - 1) * 0.001
            expected = reference.mountain_car(*before[lane], push)
            np.testing.assert_allclose(state["car"][lane], expected, rtol=0, atol=1e-15)
            at_flag = expected[0] >= (0.45 if continuous else 0.5)
            assert (outcome.reward[lane], outcome.terminated[lane], outcome.success[lane]) == (at_flag,) * 3
            flagged += at_flag
            at_wall += outcome.event[lane] == mountain_car.AT_WALL
    assert flagged
    assert at_wall
    position = state["car"][:, 0]
    np.testing.assert_allclose(measured(dynamics, state)["height"], 0.45 * np.sin(3 * position) + 0.55)


def test_mountain_car_holds_actions_until_the_flag() -> None:
    held, plain, rng = MountainCar(action_repeat=7), MountainCar(), np.random.default_rng(2)
    one, other, flagged = started(held), started(plain), 0
    for _ in range(60):
        actions = along_speed(held, one["car"][:, 1], rng)
        outcome = advance(held, one, actions)
        running = np.ones(LANES, np.bool_)
        for _ in range(7):
            running &= ~advance(plain, other, actions, running).terminated
        np.testing.assert_array_equal(one["car"], other["car"])
        np.testing.assert_array_equal(outcome.terminated, ~running)
        flagged += outcome.terminated.sum()
    assert flagged


def test_acrobot_follows_its_reference() -> None:
    dynamics, rng = Acrobot(), np.random.default_rng(1)
    state, paid = started(dynamics), 0
    for _ in range(200):
        before = state["joints"].copy()
        actions = along_speed(dynamics, before[:, 3], rng)
        outcome = advance(dynamics, state, actions)
        for lane in range(LANES):
            expected = reference.acrobot(before[lane], actions[lane] - 1.0, 0.2)
            turns = (expected - state["joints"][lane])[:2] / (2 * np.pi)
            np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
            np.testing.assert_allclose(state["joints"][lane, 2:], expected[2:], rtol=1e-10, atol=1e-10)
            height = -np.cos(expected[0]) - np.cos(expected[0] + expected[1])
            assert outcome.reward[lane] == outcome.terminated[lane] == (height > 1.0)
            paid += height > 1.0
    assert paid
    assert (np.abs(state["joints"][:, :2]) <= np.pi).all()


@pytest.mark.parametrize("discrete", [False, True])
def test_cartpole_follows_its_reference_and_counts_upright_steps(discrete: bool) -> None:
    dynamics, rng = CartPoleSwingUp(discrete=discrete, hold=5), np.random.default_rng(1)
    state = started(dynamics)
    # Half of the lanes start near upright, so that holds are met as well as swings.
    state["cart"][::2, 2] -= np.pi * np.sign(state["cart"][::2, 2])
    held = np.zeros(LANES, int)
    seen = set()
    for _ in range(300):
        before = state["cart"].copy()
        actions = random_actions(dynamics, rng)
        outcome = advance(dynamics, state, actions)
        for lane in range(LANES):
            force = 10.0 * ((int(actions[lane]) - 1) if discrete else float(actions[lane, 0]))
            expected = reference.cartpole(before[lane], force, 0.02)
            turns = (expected[2] - state["cart"][lane, 2]) / (2 * np.pi)
            np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
            np.testing.assert_allclose(
                state["cart"][lane, [0, 1, 3]], expected[[0, 1, 3]], rtol=1e-10, atol=1e-12
            )
            upright = np.cos(expected[2]) > 0.95 and abs(expected[0]) < 1.0
            held[lane] = held[lane] + 1 if upright else 0
            assert outcome.reward[lane] == outcome.success[lane] == (held[lane] == 5)
            assert outcome.terminated[lane] == (held[lane] == 5 or abs(expected[0]) > 3.0)
            seen.add(int(outcome.event[lane]))
    np.testing.assert_array_equal(state["held"], held)
    np.testing.assert_allclose(measured(dynamics, state)["upright"], np.cos(state["cart"][:, 2]))
    assert seen == {
        0,
        cartpole_swingup.HELD,
        cartpole_swingup.OFF_RAIL,
        cartpole_swingup.SWUNG_UP,
        cartpole_swingup.LOST,
    }


@pytest.mark.parametrize(
    ("dynamics", "env_id", "array"),
    [
        (MountainCar(), "MountainCar-v0", "car"),
        (MountainCar(continuous=True), "MountainCarContinuous-v0", "car"),
        (Acrobot(), "Acrobot-v1", "joints"),
    ],
)
def test_observations_and_ends_equal_gymnasiums(dynamics: Dynamics, env_id: str, array: str) -> None:
    """From the same state, under the same random actions; Gymnasium keeps some states in single precision."""
    twin, state, rng = gym.make(env_id).unwrapped, started(dynamics), np.random.default_rng(2)
    twin.reset(seed=0)
    twin.state = state[array][0].copy()
    for _ in range(150):
        actions = along_speed(dynamics, state[array][:, -1], rng)
        outcome = advance(dynamics, state, actions)
        theirs, _, terminated, _, _ = twin.step(actions[0])
        np.testing.assert_allclose(observed(dynamics, state)[0], theirs, atol=2e-4)
        assert outcome.terminated[0] == terminated
        twin.state = state[array][0].copy()


def test_cartpole_equals_gymnasiums_balancing_dynamics() -> None:
    dynamics, rng = CartPoleSwingUp(discrete=True), np.random.default_rng(3)
    state, twin = started(dynamics), gym.make("CartPole-v1").unwrapped
    twin.reset(seed=0)
    twin.kinematics_integrator = "semi-implicit"
    state["cart"][:, 2] -= np.pi * np.sign(state["cart"][:, 2])
    for _ in range(8):
        twin.state = tuple(state["cart"][0])
        action = int(rng.integers(2))
        advance(dynamics, state, np.full(LANES, 2 * action))
        twin.step(action)
        np.testing.assert_allclose(state["cart"][0], twin.state, rtol=1e-10, atol=1e-12)


def test_a_free_pole_does_not_gain_energy() -> None:
    """Over 40 seconds without a force, from any height."""
    dynamics = CartPoleSwingUp()
    state = started(dynamics)
    state["cart"][:, 2] = np.linspace(0.5, 3.0, LANES)

    def energy() -> np.ndarray:
        _, v, theta, w = state["cart"].T
        kinetic = 0.5 * 1.1 * v**2 + 0.1 * 0.5 * v * w * np.cos(theta) + 0.5 * 0.1 * (4 / 3) * 0.25 * w**2
        return kinetic + 0.1 * 9.8 * 0.5 * np.cos(theta)

    history = []
    for _ in range(2000):
        advance(dynamics, state, np.zeros((LANES, 1), np.float32))
        history.append(energy())
    drift = np.mean(history[-500:], axis=0) - np.mean(history[:500], axis=0)
    # Explicit Euler steps would gain 2 J; these lose a little, as friction would.
    assert (drift <= 1e-3).all()
    assert (drift >= -0.1).all()


@pytest.mark.parametrize("dynamics", [MountainCar(), Acrobot(), CartPoleSwingUp(), PointMaze()])
def test_inactive_lanes_stay_as_they_are(dynamics: Dynamics) -> None:
    state, rng = started(dynamics), np.random.default_rng(4)
    active = np.arange(LANES) % 2 == 0
    before = {name: array.copy() for name, array in state.items()}
    outcome = advance(dynamics, state, random_actions(dynamics, rng), active)
    dynamics.reset(state, rng.random((LANES, dynamics.reset_draws)), np.zeros(LANES, np.bool_))
    for name, array in state.items():
        np.testing.assert_array_equal(array[~active], before[name][~active])
    assert any(not np.array_equal(array[active], before[name][active]) for name, array in state.items())
    assert not outcome.event[~active].any()


def mountain_car_expert(obs: np.ndarray) -> np.ndarray:
    return np.where(obs[:, 1] >= 0, 2, 0)


def acrobot_expert(obs: np.ndarray) -> np.ndarray:
    return np.where(obs[:, 5] >= 0, 2, 0)


def cartpole_expert(obs: np.ndarray) -> np.ndarray:
    """Pump the pole's energy up to that of rest upright (Åström and Furuta, 2000), then a linear regulator."""
    x, v, cosine, sine, w, _ = obs.T
    energy = 0.5 * 0.1 * (4 / 3) * 0.25 * w**2 + 0.1 * 9.8 * 0.5 * (cosine - 1.0)
    swing = 20.0 * np.clip(energy, -0.2, 0.2) * np.sign(w * cosine) - 5.0 * x - v
    balance = 3.16 * x + 5.92 * v + 49.5 * np.arctan2(sine, cosine) + 12.8 * w
    return (np.clip(np.where(cosine > 0.9, balance, swing), -10, 10) / 10).astype(np.float32)[:, np.newaxis]


@pytest.mark.parametrize(
    ("dynamics", "expert"),
    [(MountainCar(), mountain_car_expert), (Acrobot(), acrobot_expert), (CartPoleSwingUp(), cartpole_expert)],
)
def test_an_expert_earns_the_optimal_return(dynamics: Dynamics, expert: object) -> None:
    envs = NativeVectorEnv(dynamics, 32)
    obs, _ = envs.reset(seed=0)
    returns, running = np.zeros(32), np.ones(32, np.bool_)
    while running.any():
        obs, reward, terminated, truncated, info = envs.step(expert(obs))  # type: ignore[operator]
        returns += np.where(running, reward, 0.0)
        np.testing.assert_array_equal(info["success"][running], reward[running] == 1.0)
        running &= ~(terminated | truncated)
    np.testing.assert_array_equal(returns, 1.0)


def test_kernels_compile_once_per_kind_of_action() -> None:
    for dynamics in (
        MountainCar(),
        MountainCar(continuous=True),
        Acrobot(),
        CartPoleSwingUp(),
        CartPoleSwingUp(discrete=True),
        PointMaze(),
        PointMaze(goal_conditioned=True, random_goal=True),
    ):
        for lanes in (1, 3):
            envs = NativeVectorEnv(dynamics, lanes, copy=lanes == 1)
            envs.reset(seed=0)
            envs.step(envs.action_space.sample())
    actions_of_two_dtypes = (mountain_car, cartpole_swingup)
    for module in (mountain_car, acrobot, cartpole_swingup, point_maze):
        assert len(module._step.signatures) == (2 if module in actions_of_two_dtypes else 1)
        assert len(module._reset.signatures) == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MountainCar(max_steps=0), ValueError, "max_steps must be at least 1, got 0"),
        (lambda: MountainCar(max_steps=1.5), TypeError, "max_steps must be an integer, got 1.5"),
        (lambda: Acrobot(line=2.0), ValueError, "line must be above -2 and below 2"),
        (lambda: Acrobot(dt=float("nan")), ValueError, "dt must be above 0"),
        (lambda: CartPoleSwingUp(hold=True), TypeError, "hold must be an integer, got True"),
        (lambda: PointMaze(goal_radius=-1), ValueError, "goal_radius must be above 0"),
        (lambda: PointMaze(speed=float("inf")), ValueError, "speed must be above 0 and below inf, got inf"),
    ],
)
def test_wrong_knobs_are_named(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]
