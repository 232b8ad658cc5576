"""Mountain car with a reward at the flag only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least
from shapegym.envs.dynamics import State, StepOutcome
from shapegym.envs.notes import Note, coded
from shapegym.envs.pictures.canvas import AGENT, FLOOR, GOAL, INK, WALL, Canvas, Color
from shapegym.envs.pictures.drawn import Drawn

LEFT_WALL, RIGHT_END, MAX_SPEED = -1.2, 0.6, 0.07
GRAVITY = 0.0025
START_LOW, START_WIDTH = -0.6, 0.2
AT_FLAG, AT_WALL = 1, 2


@jit
def _advance(position: float, velocity: float, push: float) -> tuple[float, float]:
    """Sutton and Barto (2018), example 10.1; `push` is the action times the engine's power."""
    velocity += push - GRAVITY * math.cos(3.0 * position)
    velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
    position = min(max(position + velocity, LEFT_WALL), RIGHT_END)
    if position == LEFT_WALL and velocity < 0.0:
        velocity = 0.0
    return position, velocity


@jit
def _step(
    car: NDArray[np.float64],
    actions: NDArray[Any],
    neutral: float,
    power: float,
    goal_position: float,
    action_repeat: int,
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    for lane in range(car.shape[0]):
        if active[lane]:
            push = (actions[lane] - neutral) * power
            position, velocity = _advance(car[lane, 0], car[lane, 1], push)
            for _ in range(action_repeat - 1):
                if position < goal_position:
                    position, velocity = _advance(position, velocity, push)
            car[lane, 0] = position
            car[lane, 1] = velocity
            if position >= goal_position:
                reward[lane] = 1.0
                terminated[lane] = True
                success[lane] = True
                event[lane] = AT_FLAG
            elif position == LEFT_WALL:
                event[lane] = AT_WALL


@jit
def _reset(car: NDArray[np.float64], noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
    for lane in range(car.shape[0]):
        if mask[lane]:
            car[lane, 0] = START_LOW + START_WIDTH * noise[lane, 0]
            car[lane, 1] = 0.0


class MountainCar(Drawn):
    """Drive an underpowered car out of a valley, to the flag on the right hill.

    Description:
        The engine is weaker than gravity on the slope, so the car must first go away from the flag to gain speed.
        Dynamics of Moore (1990) as in Sutton and Barto (2018), example 10.1, with v clipped to [-0.07, 0.07] and x to
        [-1.2, 0.6], an inelastic wall on the left:
        v_{t+1} = v_t + power · a_t - 0.0025 cos(3 x_t), x_{t+1} = x_t + v_{t+1}.
        The constants are those of Gymnasium's MountainCar-v0 (power 0.001, flag at 0.5) and, with `continuous`, of
        MountainCarContinuous-v0 (power 0.0015, flag at 0.45).

    Why it is sparse:
        Nothing is paid on the way. Pushing along the velocity reaches the flag in about 120 steps, for a return of 1;
        the uniformly random policy solved 0 of 61,440 episodes (continuous, 999 steps: 24 of 12,288).

    Actions:
        Discrete(3): push left, do not push, push right (a_t = -1, 0, 1). Continuous: Box(-1, 1, (1,)), a_t itself.

    Observations:
        Box (2,) float32: position x_t and velocity v_t.

    Reward:
        r_{t+1} = 1 if x_{t+1} >= flag, else 0.

    Termination and truncation:
        Terminated at the flag; truncated after `max_steps` steps.

    Features:
        position, velocity: x_t and v_t. height: 0.45 sin(3 x_t) + 0.55, the car's height on the hill.
        goal_position: the flag's x. Events: at the flag, at the left wall.

    Ids:
        shapegym/MountainCar-v0, shapegym/MountainCarContinuous-v0 (with 999 steps).

    Args:
        continuous: Take forces instead of three actions, with the constants of the continuous variant.
        max_steps: Time limit.
        action_repeat: Steps of the dynamics for which every action is held; the flag ends a step early. Held actions swing the
            car: with 10, the uniformly random policy reaches it within 50 steps in 29% of 5,594 episodes.

    Raises:
        TypeError, ValueError: An argument of the wrong type or out of range.
    """

    render_fps = 30
    reset_draws = 1
    aim = "Drive the car out of the valley to the flag on the right hill; its engine is too weak to climb straight up."
    captions = ("", "you reach the flag", "you are at the left wall")

    def __init__(self, *, continuous: bool = False, max_steps: int = 200, action_repeat: int = 1) -> None:
        self.max_steps = at_least("max_steps", max_steps, 1)
        self._action_repeat = at_least("action_repeat", action_repeat, 1)
        self._neutral, self._power, self._flag = (0.0, 0.0015, 0.45) if continuous else (1.0, 0.001, 0.5)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32) if continuous else spaces.Discrete(3)
        low = np.array([LEFT_WALL, -MAX_SPEED], np.float32)
        high = np.array([RIGHT_END, MAX_SPEED], np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.features = {
            "position": spaces.Box(LEFT_WALL, RIGHT_END, (), np.float64),
            "velocity": spaces.Box(-MAX_SPEED, MAX_SPEED, (), np.float64),
            "height": spaces.Box(0.0, 1.0, (), np.float64),
            "goal_position": spaces.Box(LEFT_WALL, RIGHT_END, (), np.float64),
        }
        self.notes = {
            "position": Note(
                "The car's place along the valley, whose bottom is at -0.52.", "units of length"
            ),
            "velocity": Note("How far the car moves to the right in a step.", "units of length a step"),
            "height": Note("The car's height on the hill, 0.45 sin(3 position) + 0.55.", "units of height"),
            "goal_position": Note("The position of the flag.", "units of length"),
            "action": Note(
                "The push of the engine: negative to the left, positive to the right."
                if continuous
                else "The push of the engine.",
                codes=() if continuous else coded(("push left", "do not push", "push right")),
            ),
        }
        self.fingerprint = (
            f"MountainCar(continuous={continuous}, max_steps={max_steps}, action_repeat={action_repeat})"
        )

    def draw(self, lane: Mapping[str, NDArray[Any]]) -> Canvas:
        """The hill, the car on it, and the flag."""
        canvas = Canvas(480, 300, (LEFT_WALL - 0.1, RIGHT_END + 0.1), (1.4, 0.0))
        xs = np.linspace(LEFT_WALL - 0.1, RIGHT_END + 0.1, 120).tolist()
        hill = [(x, _height(x)) for x in xs]
        canvas.shape([(xs[0], 0.0), *hill, (xs[-1], 0.0)], FLOOR)
        canvas.line(hill, WALL, 3)
        foot = _height(self._flag)
        canvas.line([(self._flag, foot), (self._flag, foot + 0.22)], INK)
        tip = foot + 0.22
        canvas.shape([(self._flag, tip), (self._flag + 0.1, tip - 0.04), (self._flag, tip - 0.08)], GOAL)
        x = float(lane["car"][0])
        slope = math.atan2((_height(x + 1e-3) - _height(x - 1e-3)) * 300 / 1.4, 2e-3 * 480 / 2.0)
        canvas.line([(LEFT_WALL, _height(LEFT_WALL)), (LEFT_WALL, _height(LEFT_WALL) + 0.15)], WALL, 4)
        _draw_car(canvas, x, slope, AGENT, INK)
        return canvas

    def allocate(self, lanes: int) -> State:
        """One row (position, velocity) a lane."""
        return {"car": np.zeros((lanes, 2))}

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Start at rest near the bottom of the valley, x_0 uniform in [-0.6, -0.4)."""
        _reset(state["car"], noise, mask)

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Apply the engine's push for one step."""
        _step(
            state["car"],
            actions.reshape(-1),
            self._neutral,
            self._power,
            self._flag,
            self._action_repeat,
            active,
            *outcome,
        )

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """Position and velocity in single precision."""
        observation[...] = state["car"]

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Position, velocity, the hill's height there, and the flag."""
        position = state["car"][:, 0]
        height = features["height"]
        features["position"][...] = position
        features["velocity"][...] = state["car"][:, 1]
        np.multiply(position, 3.0, out=height)
        np.sin(height, out=height)
        height *= 0.45
        height += 0.55
        features["goal_position"].fill(self._flag)


def _height(x: float) -> float:
    return 0.45 * math.sin(3.0 * x) + 0.55


def _draw_car(canvas: Canvas, x: float, slope: float, body: Color, wheels: Color) -> None:
    """A car of 40 pixels; ``slope`` is the angle of the ground in the picture."""
    along, up = math.cos(slope), math.sin(slope)

    def at(right: float, above: float) -> tuple[float, float]:
        """Pixels from where the car stands."""
        return (
            x + (right * along - above * up) * 2.0 / 480,
            _height(x) + (right * up + above * along) * 1.4 / 300,
        )

    canvas.shape(
        [at(-20, 6), at(20, 6), at(18, 14), at(9, 15), at(5, 21), at(-9, 21), at(-13, 15), at(-20, 14)], body
    )
    for wheel in (-11, 11):
        canvas.disc(at(wheel, 6), 5, wheels)
