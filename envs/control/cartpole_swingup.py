"""Cart-pole swing-up with a reward for having held the pole upright."""

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
from shapegym.envs.pictures.canvas import AGENT, DIM, GOAL, INK, THING, WALL, Canvas
from shapegym.envs.pictures.drawn import Drawn

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH, MAX_FORCE = 9.8, 1.0, 0.1, 0.5, 10.0
TOTAL_MASS, POLE_MOMENT = CART_MASS + POLE_MASS, POLE_MASS * HALF_LENGTH
RAIL, CENTRE, UPRIGHT = 3.0, 1.0, 0.95
MAX_SPEED, MAX_SPIN = 20.0, 10.0 * math.pi
START_SPREAD = 0.05
HELD, OFF_RAIL, SWUNG_UP, LOST = 1, 2, 3, 4


@jit
def _advance(
    x: float, x_speed: float, theta: float, theta_speed: float, force: float, dt: float
) -> tuple[float, float, float, float]:
    """Barto, Sutton and Anderson (1983), appendix, without friction, by one semi-implicit Euler step."""
    sine, cosine = math.sin(theta), math.cos(theta)
    drive = (force + POLE_MOMENT * theta_speed**2 * sine) / TOTAL_MASS
    inertia = HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cosine**2 / TOTAL_MASS)
    theta_acceleration = (GRAVITY * sine - cosine * drive) / inertia
    x_acceleration = drive - POLE_MOMENT * theta_acceleration * cosine / TOTAL_MASS
    # Speeds first: the explicit order would pump energy into the swinging pole.
    x_speed = min(max(x_speed + dt * x_acceleration, -MAX_SPEED), MAX_SPEED)
    theta_speed = min(max(theta_speed + dt * theta_acceleration, -MAX_SPIN), MAX_SPIN)
    theta += dt * theta_speed
    turns = math.floor((theta + math.pi) / (2.0 * math.pi))
    return x + dt * x_speed, x_speed, theta - 2.0 * math.pi * turns, theta_speed


@jit
def _step(
    cart: NDArray[np.float64],
    held: NDArray[np.int64],
    actions: NDArray[Any],
    neutral: float,
    dt: float,
    hold: int,
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    for lane in range(cart.shape[0]):
        if active[lane]:
            row = cart[lane]
            force = MAX_FORCE * (actions[lane] - neutral)
            row[0], row[1], row[2], row[3] = _advance(row[0], row[1], row[2], row[3], force, dt)
            before = held[lane]
            upright = math.cos(row[2]) > UPRIGHT and abs(row[0]) < CENTRE
            held[lane] = before + 1 if upright else 0
            if held[lane] == hold:
                reward[lane] = 1.0
                terminated[lane] = True
                success[lane] = True
                event[lane] = HELD
            elif abs(row[0]) > RAIL:
                terminated[lane] = True
                event[lane] = OFF_RAIL
            elif upright and before == 0:
                event[lane] = SWUNG_UP
            elif before > 0 and not upright:
                event[lane] = LOST


@jit
def _reset(
    cart: NDArray[np.float64], held: NDArray[np.int64], noise: NDArray[np.float64], mask: NDArray[np.bool_]
) -> None:
    for lane in range(cart.shape[0]):
        if mask[lane]:
            for i in range(4):
                cart[lane, i] = START_SPREAD * (2.0 * noise[lane, i] - 1.0)
            offset = cart[lane, 2]
            cart[lane, 2] = offset - math.pi if offset >= 0.0 else offset + math.pi
            held[lane] = 0


@jit
def _observe(cart: NDArray[np.float64], held: NDArray[np.int64], hold: int, out: NDArray[np.float32]) -> None:
    for lane in range(cart.shape[0]):
        out[lane, 0] = cart[lane, 0]
        out[lane, 1] = cart[lane, 1]
        out[lane, 2] = math.cos(cart[lane, 2])
        out[lane, 3] = math.sin(cart[lane, 2])
        out[lane, 4] = cart[lane, 3]
        out[lane, 5] = held[lane] / hold


@jit
def _measure(
    cart: NDArray[np.float64],
    cart_position: NDArray[np.float64],
    angle: NDArray[np.float64],
    upright: NDArray[np.float64],
) -> None:
    for lane in range(cart.shape[0]):
        cart_position[lane] = cart[lane, 0]
        angle[lane] = cart[lane, 2]
        upright[lane] = math.cos(cart[lane, 2])


class CartPoleSwingUp(Drawn):
    """Swing a hanging pole up by moving its cart, and hold it upright near the middle of the rail.

    Description:
        The frictionless cart-pole of Barto, Sutton and Anderson (1983) with Gymnasium's constants, integrated by
        semi-implicit Euler steps of `dt` seconds, with speeds clipped to +-20 m/s and +-10 pi rad/s. theta
        is the pole's angle from upright; the episode starts with the pole hanging and the cart near the
        middle of a rail of +-3 m.

    Why it is sparse:
        Only a pole that stayed up is paid: u_t = 1[cos(theta_t) > 0.95 and |x_t| < 1] must hold for `hold` steps in a
        row, too long for a pole that swings through. Energy control with a linear regulator needs about 220 steps, for a
        return of 1; the uniformly random policy solved 0 of 44,895 episodes (discrete: 10 of 54,393).

    Actions:
        Box(-1, 1, (1,)) float32, in units of 10 N. With `discrete`: Discrete(3), a force of -10, 0 or 10 N.

    Observations:
        Box (6,) float32: x [m], its speed [m/s], cos theta, sin theta, theta's speed [rad/s], and c_t / hold, where
        c_t = u_t (c_{t-1} + 1) counts the steps held so far (so that the reward is Markov).

    Reward:
        r_{t+1} = 1 if c_{t+1} = hold, else 0.

    Termination and truncation:
        Terminated when held (success) and, without reward, when the cart leaves the rail, |x| > 3; truncated after
        `max_steps` steps.

    Features:
        cart_position: x [m]. angle: theta [rad], in [-pi, pi]. upright: cos theta. Events: pole held, cart off the
        rail, pole swung up (c_t becomes 1), pole lost (c_t falls to 0).

    Ids:
        shapegym/CartPoleSwingUp-v0, shapegym/CartPoleSwingUpDiscrete-v0.

    Args:
        discrete: Take three actions instead of forces.
        hold: Steps for which the pole must stay upright; fewer are easier.
        dt: Duration of a step [s].
        max_steps: Time limit.

    Raises:
        TypeError, ValueError: An argument of the wrong type or out of range.
    """

    render_fps = 30
    reset_draws = 4
    aim = "Swing the hanging pole up by moving its cart, and hold it upright near the middle of the rail."
    captions = (
        "",
        "you have held the pole upright",
        "you run off the rail",
        "you swing the pole upright",
        "you lose the upright pole",
    )

    def __init__(
        self, *, discrete: bool = False, hold: int = 25, dt: float = 0.02, max_steps: int = 500
    ) -> None:
        self.max_steps = at_least("max_steps", max_steps, 1)
        self._hold = at_least("hold", hold, 1)
        self._dt = positive("dt", dt)
        self._neutral = 1.0 if discrete else 0.0
        self.action_space = spaces.Discrete(3) if discrete else spaces.Box(-1.0, 1.0, (1,), np.float32)
        # The step that leaves the rail ends at most this far out.
        reach = RAIL + self._dt * MAX_SPEED
        high = np.array([reach, MAX_SPEED, 1.0, 1.0, MAX_SPIN, 1.0], np.float32)
        low = np.array([-reach, -MAX_SPEED, -1.0, -1.0, -MAX_SPIN, 0.0], np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.features = {
            "cart_position": spaces.Box(-reach, reach, (), np.float64),
            "angle": spaces.Box(-np.pi, np.pi, (), np.float64),
            "upright": spaces.Box(-1.0, 1.0, (), np.float64),
        }
        self.notes = {
            "cart_position": Note(
                "The cart's place on the rail, which ends at -3 and 3; 0 is its middle.", "metres"
            ),
            "angle": Note("The pole's angle from upright; it hangs at -pi and pi.", "radians"),
            "upright": Note("The cosine of the pole's angle: 1 upright, -1 hanging."),
            "action": Note(
                "The force on the cart." if discrete else "The force on the cart, in units of 10 N.",
                codes=coded(("10 N to the left", "no force", "10 N to the right")) if discrete else (),
            ),
        }
        self.fingerprint = (
            f"CartPoleSwingUp(discrete={discrete}, hold={hold}, dt={self._dt}, max_steps={max_steps})"
        )

    def draw(self, lane: Mapping[str, NDArray[Any]]) -> Canvas:
        """The rail with the part that counts in green, the cart and the pole, and how long the pole has been held."""
        canvas = Canvas(480, 240, (-1.2 * RAIL, 1.2 * RAIL), (1.8, -1.8))
        x, theta = float(lane["cart"][0]), float(lane["cart"][2])
        canvas.line([(-RAIL, 0.0), (RAIL, 0.0)], WALL, 4)
        canvas.line([(-CENTRE, 0.0), (CENTRE, 0.0)], GOAL, 4)
        for end in (-RAIL, RAIL):
            canvas.line([(end, -0.15), (end, 0.15)], WALL, 4)
        tip = x + 2.0 * HALF_LENGTH * math.sin(theta), 2.0 * HALF_LENGTH * math.cos(theta)
        canvas.box((x - 0.3, -0.13), (x + 0.3, 0.13), THING)
        canvas.line([(x, 0.0), tip], AGENT, 7)
        canvas.disc((x, 0.0), 5, INK)
        share = min(float(lane["held"]) / self._hold, 1.0)
        canvas.box((-RAIL, -1.5), (RAIL, -1.4), DIM)
        canvas.box((-RAIL, -1.5), (-RAIL + 2 * RAIL * share, -1.4), GOAL)
        return canvas

    def allocate(self, lanes: int) -> State:
        """One row (x, its speed, theta, its speed) and a count of upright steps a lane."""
        return {"cart": np.zeros((lanes, 4)), "held": np.zeros(lanes, np.int64)}

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Hang nearly still: all within 0.05 of the hanging rest state."""
        _reset(state["cart"], state["held"], noise, mask)

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Apply the force for one step."""
        _step(
            state["cart"],
            state["held"],
            actions.reshape(-1),
            self._neutral,
            self._dt,
            self._hold,
            active,
            *outcome,
        )

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """Cart, cosine and sine of the pole's angle, and the share of the hold that is done."""
        _observe(state["cart"], state["held"], self._hold, observation)

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Where the cart is and how the pole stands."""
        _measure(state["cart"], features["cart_position"], features["angle"], features["upright"])
