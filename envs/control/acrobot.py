"""Acrobot with a reward at the line only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least, positive
from shapegym.envs.dynamics import State, StepOutcome
from shapegym.envs.notes import Note, coded
from shapegym.envs.pictures.canvas import AGENT, DIM, GOAL, INK, THING, Canvas
from shapegym.envs.pictures.drawn import Drawn

# Two uniform links of 1 m and 1 kg with moments of inertia of 1 kg m².
GRAVITY = 9.8
CENTRE = 0.5
MAX_SPEED_1, MAX_SPEED_2 = 4.0 * math.pi, 9.0 * math.pi
START_SPREAD = 0.1
ABOVE_LINE = 1


@jit
def _acceleration(
    theta_1: float, theta_2: float, speed_1: float, speed_2: float, torque: float
) -> tuple[float, float]:
    """Angular accelerations of both joints, Sutton and Barto (1998), section 11.3, for unit lengths and masses."""
    coupling = CENTRE * math.cos(theta_2)
    d_1 = 2.0 * CENTRE**2 + 1.0 + 2.0 * coupling + 2.0
    d_2 = CENTRE**2 + coupling + 1.0
    whirl = CENTRE * math.sin(theta_2)
    phi_2 = CENTRE * GRAVITY * math.sin(theta_1 + theta_2)
    phi_1 = (
        -whirl * speed_2**2
        - 2.0 * whirl * speed_2 * speed_1
        + (CENTRE + 1.0) * GRAVITY * math.sin(theta_1)
        + phi_2
    )
    numerator = torque + d_2 / d_1 * phi_1 - whirl * speed_1**2 - phi_2
    acceleration_2 = numerator / (CENTRE**2 + 1.0 - d_2**2 / d_1)
    return -(d_2 * acceleration_2 + phi_1) / d_1, acceleration_2


@jit
def _wrapped(angle: float) -> float:
    return angle - 2.0 * math.pi * math.floor((angle + math.pi) / (2.0 * math.pi))


@jit
def _advance(
    theta_1: float, theta_2: float, speed_1: float, speed_2: float, torque: float, dt: float
) -> tuple[float, float, float, float]:
    """One step of the classical fourth-order Runge-Kutta method."""
    half = 0.5 * dt
    a_1, a_2 = _acceleration(theta_1, theta_2, speed_1, speed_2, torque)
    b_speed_1, b_speed_2 = speed_1 + half * a_1, speed_2 + half * a_2
    b_1, b_2 = _acceleration(theta_1 + half * speed_1, theta_2 + half * speed_2, b_speed_1, b_speed_2, torque)
    c_speed_1, c_speed_2 = speed_1 + half * b_1, speed_2 + half * b_2
    c_1, c_2 = _acceleration(
        theta_1 + half * b_speed_1, theta_2 + half * b_speed_2, c_speed_1, c_speed_2, torque
    )
    d_speed_1, d_speed_2 = speed_1 + dt * c_1, speed_2 + dt * c_2
    d_1, d_2 = _acceleration(theta_1 + dt * c_speed_1, theta_2 + dt * c_speed_2, d_speed_1, d_speed_2, torque)
    sixth = dt / 6.0
    return (
        _wrapped(theta_1 + sixth * (speed_1 + 2.0 * b_speed_1 + 2.0 * c_speed_1 + d_speed_1)),
        _wrapped(theta_2 + sixth * (speed_2 + 2.0 * b_speed_2 + 2.0 * c_speed_2 + d_speed_2)),
        min(max(speed_1 + sixth * (a_1 + 2.0 * b_1 + 2.0 * c_1 + d_1), -MAX_SPEED_1), MAX_SPEED_1),
        min(max(speed_2 + sixth * (a_2 + 2.0 * b_2 + 2.0 * c_2 + d_2), -MAX_SPEED_2), MAX_SPEED_2),
    )


@jit
def _tip_height(theta_1: float, theta_2: float) -> float:
    return -math.cos(theta_1) - math.cos(theta_1 + theta_2)


@jit
def _step(
    joints: NDArray[np.float64],
    actions: NDArray[np.int64],
    dt: float,
    line: float,
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    for lane in range(joints.shape[0]):
        if active[lane]:
            row = joints[lane]
            torque = actions[lane] - 1.0
            row[0], row[1], row[2], row[3] = _advance(row[0], row[1], row[2], row[3], torque, dt)
            if _tip_height(row[0], row[1]) > line:
                reward[lane] = 1.0
                terminated[lane] = True
                success[lane] = True
                event[lane] = ABOVE_LINE


@jit
def _reset(joints: NDArray[np.float64], noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
    for lane in range(joints.shape[0]):
        if mask[lane]:
            for i in range(4):
                joints[lane, i] = START_SPREAD * (2.0 * noise[lane, i] - 1.0)


@jit
def _observe(joints: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    for lane in range(joints.shape[0]):
        theta_1, theta_2, out[lane, 4], out[lane, 5] = joints[lane]
        out[lane, 0] = math.cos(theta_1)
        out[lane, 1] = math.sin(theta_1)
        out[lane, 2] = math.cos(theta_2)
        out[lane, 3] = math.sin(theta_2)


@jit
def _measure(joints: NDArray[np.float64], tip_height: NDArray[np.float64]) -> None:
    for lane in range(joints.shape[0]):
        tip_height[lane] = _tip_height(joints[lane, 0], joints[lane, 1])


class Acrobot(Drawn):
    """Swing a two-link pendulum, driven at its elbow only, until its tip is above a line.

    Description:
        theta_1 is the first link's angle from hanging down, theta_2 the second link's angle relative to the first. The
        equations of motion of Sutton and Barto (1998), section 11.3 (the "book" equations of Gymnasium's Acrobot-v1),
        are integrated by one Runge-Kutta step of `dt` seconds; speeds are clipped to [-4 pi, 4 pi] and [-9 pi, 9 pi].

    Why it is sparse:
        Nothing is paid on the way. Torque along the second joint's speed gets there in about 90 steps, for a return of
        1; the uniformly random policy solved 1.5 % of 10,240 episodes.

    Actions:
        Discrete(3): torque -1, 0 or 1 N m at the elbow.

    Observations:
        Box (6,) float32: cos theta_1, sin theta_1, cos theta_2, sin theta_2, and both angular speeds [rad/s].

    Reward:
        r_{t+1} = 1 if tip_height_{t+1} > line, else 0, with tip_height = -cos(theta_1) - cos(theta_1 + theta_2).

    Termination and truncation:
        Terminated above the line; truncated after `max_steps` steps.

    Features:
        tip_height: the tip's height above the pivot [m], from -2 to 2. Events: above the line.

    Ids:
        shapegym/Acrobot-v0.

    Args:
        line: Height that the tip must exceed [m]; lower is easier.
        dt: Duration of a step [s].
        max_steps: Time limit.

    Raises:
        TypeError, ValueError: An argument of the wrong type or out of range.
    """

    render_fps = 30
    reset_draws = 4
    aim = "Swing the two-link pendulum, which is driven at its elbow only, until its tip is above the line."
    captions = ("", "you swing the tip above the line")

    def __init__(self, *, line: float = 1.0, dt: float = 0.2, max_steps: int = 500) -> None:
        if not -2.0 < line < 2.0:
            raise ValueError(f"line must be above -2 and below 2, the tip's range, got {line!r}")
        self.max_steps = at_least("max_steps", max_steps, 1)
        self._line = float(line)
        self._dt = positive("dt", dt)
        self.action_space = spaces.Discrete(3)
        high = np.array([1.0, 1.0, 1.0, 1.0, MAX_SPEED_1, MAX_SPEED_2], np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.features = {"tip_height": spaces.Box(-2.0, 2.0, (), np.float64)}
        self.notes = {
            "tip_height": Note(f"The tip's height above the pivot; the line is at {self._line:g}.", "metres"),
            "action": Note(
                "The torque at the elbow.", codes=coded(("torque -1 N m", "no torque", "torque 1 N m"))
            ),
        }
        self.fingerprint = f"Acrobot(line={self._line}, dt={self._dt}, max_steps={max_steps})"

    def draw(self, lane: Mapping[str, NDArray[Any]]) -> Canvas:
        """Both links, their joints, and the line that the tip must rise above."""
        canvas = Canvas(360, 360, (-2.2, 2.2), (2.2, -2.2))
        theta_1, theta_2 = lane["joints"][:2].tolist()
        elbow = math.sin(theta_1), -math.cos(theta_1)
        tip = elbow[0] + math.sin(theta_1 + theta_2), elbow[1] - math.cos(theta_1 + theta_2)
        canvas.line([(-2.2, self._line), (2.2, self._line)], GOAL)
        canvas.line([(0.0, 0.0), elbow], THING, 9)
        canvas.line([elbow, tip], AGENT, 9)
        canvas.disc((0.0, 0.0), 8, INK)
        canvas.disc(elbow, 6, INK)
        canvas.disc(tip, 4, DIM)
        return canvas

    def allocate(self, lanes: int) -> State:
        """One row (theta_1, theta_2, and their speeds) a lane."""
        return {"joints": np.zeros((lanes, 4))}

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Hang nearly still: angles and speeds uniform in [-0.1, 0.1)."""
        _reset(state["joints"], noise, mask)

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Apply the torque for one step."""
        _step(
            state["joints"],
            actions,
            self._dt,
            self._line,
            active,
            *outcome,
        )

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """Cosines and sines of the angles, and the speeds."""
        _observe(state["joints"], observation)

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Height of the tip."""
        _measure(state["joints"], features["tip_height"])
