"""A point in a maze, with a reward at the goal only, for one goal or for any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs._knobs import at_least, positive
from shapegym.envs.control.maze_layouts import read_maze
from shapegym.envs.dynamics import State, StepOutcome
from shapegym.envs.notes import Note
from shapegym.envs.pictures.canvas import AGENT, FLOOR, GOAL, WALL, Canvas
from shapegym.envs.pictures.drawn import Drawn

# Half the side of the square around a cell's centre in which starts, and random goals, are drawn.
SPREAD = 0.25
# A blocked point keeps this distance from the wall, so that rounding to float32 does not put it inside.
SKIN = 1e-3
AT_GOAL, BUMPED = 1, 2


@jit
def _move(walls: NDArray[np.bool_], x: float, y: float, dx: float, dy: float) -> tuple[float, float, bool]:
    """Move a point along (dx, dy); at a wall it loses that axis and slides on along the other.

    Visits every cell that the path enters, in order, as in Amanatides and Woo (1987), so that no displacement is long
    enough to jump a wall.
    """
    i, j = math.floor(x), math.floor(y)
    to_x, to_y = x + dx, y + dy
    bumped = False
    while True:
        ahead_i, ahead_j = math.floor(to_x), math.floor(to_y)
        if ahead_i == i and ahead_j == j:
            return to_x, to_y, bumped
        # Shares of the displacement after which the path leaves column i and row j.
        time_x = ((i + 1 if ahead_i > i else i) - x) / dx if ahead_i != i else np.inf
        time_y = ((j + 1 if ahead_j > j else j) - y) / dy if ahead_j != j else np.inf
        if time_x <= time_y:
            side = 1 if ahead_i > i else -1
            if walls[i + side, j]:
                to_x = i + 1 - SKIN if side > 0 else i + SKIN
                bumped = True
            else:
                i += side
        else:
            side = 1 if ahead_j > j else -1
            if walls[i, j + side]:
                to_y = j + 1 - SKIN if side > 0 else j + SKIN
                bumped = True
            else:
                j += side


@jit
def _reached(x: float, y: float, goal_x: float, goal_y: float, radius: float) -> bool:
    """Whether the goal is reached, in the precision of observations: relabelled goals give the same reward."""
    dx = np.float64(np.float32(x)) - np.float64(np.float32(goal_x))
    dy = np.float64(np.float32(y)) - np.float64(np.float32(goal_y))
    return bool(dx * dx + dy * dy <= radius * radius)


@jit
def _step(
    position: NDArray[np.float64],
    goal: NDArray[np.float64],
    actions: NDArray[np.float32],
    walls: NDArray[np.bool_],
    speed: float,
    radius: float,
    active: NDArray[np.bool_],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    success: NDArray[np.bool_],
    event: NDArray[np.int64],
) -> None:
    for lane in range(position.shape[0]):
        if active[lane]:
            dx, dy = speed * actions[lane, 0], speed * actions[lane, 1]
            x, y, bumped = _move(walls, position[lane, 0], position[lane, 1], dx, dy)
            position[lane, 0] = x
            position[lane, 1] = y
            if _reached(x, y, goal[lane, 0], goal[lane, 1], radius):
                reward[lane] = 1.0
                terminated[lane] = True
                success[lane] = True
                event[lane] = AT_GOAL
            elif bumped:
                event[lane] = BUMPED


@jit
def _reset(
    position: NDArray[np.float64],
    goal: NDArray[np.float64],
    starts: NDArray[np.int64],
    goals: NDArray[np.int64],
    goal_spread: float,
    noise: NDArray[np.float64],
    mask: NDArray[np.bool_],
) -> None:
    for lane in range(position.shape[0]):
        if mask[lane]:
            s, g = int(noise[lane, 0] * len(starts)), int(noise[lane, 1] * len(goals))
            if starts[s, 0] == goals[g, 0] and starts[s, 1] == goals[g, 1]:
                # Of two lists that share a cell, one holds every free cell, so there is another to take.
                if len(goals) > 1:
                    g = (g + 1) % len(goals)
                else:
                    s = (s + 1) % len(starts)
            for axis in range(2):
                position[lane, axis] = starts[s, axis] + 0.5 + SPREAD * (2.0 * noise[lane, 2 + axis] - 1.0)
                goal[lane, axis] = goals[g, axis] + 0.5 + goal_spread * (2.0 * noise[lane, 4 + axis] - 1.0)


@jit
def _goal_rewards(
    achieved: NDArray[np.float32], desired: NDArray[np.float32], radius: float, out: NDArray[np.float64]
) -> None:
    for row in range(out.shape[0]):
        if _reached(achieved[row, 0], achieved[row, 1], desired[row, 0], desired[row, 1], radius):
            out[row] = 1.0
        else:
            out[row] = 0.0


class PointMaze(Drawn):
    """Steer a point through a maze of walls into a small disc around the goal.

    Description:
        A point p_t moves by speed · a_t in a maze of unit cells, x to the right and y downwards as the layout is
        printed. Walls stop the motion across them; the rest of the step slides along. The start is near the centre of
        an S cell; the goal g is the centre of a G cell.

    Why it is sparse:
        Nothing is paid outside the goal's disc, and in all layouts but "open" the straight line to it is walled off. A
        way of n cells takes about 4 n steps, for a return of 1 (n = 8 in "open", 6 in "u", 18 in "medium", 73 in "large");
        the uniformly random policy solved 1.6 % of the episodes in "open", 3.7 % in "u", and in "medium" and in "large"
        (600 steps) none of 40,960 and 20,480; with random starts and goals in "medium", 9.3 %.

    Actions:
        Box(-1, 1, (2,)) float32: velocity along x and y.

    Observations:
        Box (4,) float32: p_t and g [cells]. With `goal_conditioned`, a Dict of Box (2,) float32: `observation` and
        `achieved_goal` (both p_t) and `desired_goal` (g); `compute_reward` then gives the reward of any goal, as
        hindsight experience replay needs it.

    Reward:
        r_{t+1} = 1 if |p_{t+1} - g| <= goal_radius, else 0.

    Termination and truncation:
        Terminated at the goal; truncated after `max_steps` steps.

    Features:
        agent_pos: p_t. goal_pos: g. Events: at the goal, against a wall.

    Ids:
        shapegym/PointMaze-v0 (layout "u"), shapegym/PointMazeOpen-v0, shapegym/PointMazeMedium-v0,
        shapegym/PointMazeLarge-v0, shapegym/PointMazeGoal-v0 (goal-conditioned, "medium", random start and goal).

    Args:
        layout: "open", "u", "medium", "large", or rows of text (see `maze_layouts.py`).
        goal_radius: Radius of the goal's disc [cells]; larger is easier.
        speed: Longest displacement of a step along an axis [cells].
        random_start: Start in any reachable cell instead of an S cell.
        random_goal: Set the goal in any reachable cell but the start's, instead of a G cell.
        goal_conditioned: Return the goal apart from the observation.
        max_steps: Time limit.

    Raises:
        TypeError, ValueError: An argument of the wrong type or out of range.
    """

    render_fps = 30
    reset_draws = 6
    aim = "Steer the point through the maze to the goal; walls stop it."
    captions = ("", "you reach the goal", "you bump into a wall")

    def __init__(
        self,
        layout: str | Sequence[str] = "u",
        *,
        goal_radius: float = 0.25,
        speed: float = 0.25,
        random_start: bool = False,
        random_goal: bool = False,
        goal_conditioned: bool = False,
        max_steps: int = 300,
    ) -> None:
        maze = read_maze(layout)
        self.max_steps = at_least("max_steps", max_steps, 1)
        self._radius = positive("goal_radius", goal_radius)
        self._speed = positive("speed", speed)
        self._walls = maze.walls
        self._starts = maze.free if random_start else maze.starts
        self._goals = maze.free if random_goal else maze.goals
        self._goal_spread = SPREAD if random_goal else 0.0
        self._goal_conditioned = goal_conditioned
        size = np.array(maze.walls.shape, np.float64)
        place = spaces.Box(np.zeros(2, np.float32), size.astype(np.float32), dtype=np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = (
            spaces.Dict({"observation": place, "achieved_goal": place, "desired_goal": place})
            if goal_conditioned
            else spaces.Box(np.tile(place.low, 2), np.tile(place.high, 2), dtype=np.float32)
        )
        self.features = {
            "agent_pos": spaces.Box(np.zeros(2), size, dtype=np.float64),
            "goal_pos": spaces.Box(np.zeros(2), size, dtype=np.float64),
        }
        self.notes = {
            "agent_pos": Note("Where the point is: x to the right and y downwards.", "cells"),
            "goal_pos": Note("The centre of the goal.", "cells"),
            "action": Note(f"The velocity along x and y, in units of {self._speed:g} cells a step."),
        }
        self.fingerprint = (
            f"PointMaze(layout={'/'.join(maze.rows)}, goal_radius={self._radius}, speed={self._speed}, "
            f"random_start={random_start}, random_goal={random_goal}, goal_conditioned={goal_conditioned}, "
            f"max_steps={max_steps})"
        )

    def draw(self, lane: Mapping[str, NDArray[Any]]) -> Canvas:
        """The maze from above, the goal with its radius, and the point."""
        columns, rows = self._walls.shape
        side = max(400 // max(columns, rows), 16)
        canvas = Canvas(columns * side, rows * side, (0, columns), (0, rows))
        canvas.box((0, 0), (columns, rows), WALL)
        for x, y in np.argwhere(~self._walls).tolist():
            canvas.box((x, y), (x + 1, y + 1), FLOOR)
        canvas.disc(tuple(lane["goal"].tolist()), self._radius * side, GOAL)
        canvas.disc(tuple(lane["position"].tolist()), 0.16 * side, AGENT)
        return canvas

    def allocate(self, lanes: int) -> State:
        """Position and goal (x, y) of every lane."""
        return {"position": np.zeros((lanes, 2)), "goal": np.zeros((lanes, 2))}

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Draw a start and a goal in different cells."""
        _reset(state["position"], state["goal"], self._starts, self._goals, self._goal_spread, noise, mask)

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Move as far as the walls let."""
        _step(
            state["position"],
            state["goal"],
            actions,
            self._walls,
            self._speed,
            self._radius,
            active,
            *outcome,
        )

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """Position and goal, in one array or by name."""
        if self._goal_conditioned:
            observation["observation"][...] = state["position"]
            observation["achieved_goal"][...] = state["position"]
            observation["desired_goal"][...] = state["goal"]
        else:
            observation[:, :2] = state["position"]
            observation[:, 2:] = state["goal"]

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Position and goal."""
        features["agent_pos"][...] = state["position"]
        features["goal_pos"][...] = state["goal"]

    def compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> NDArray[np.float64]:
        """Task reward of standing at `achieved_goal` (..., 2) when `desired_goal` (..., 2) was asked for; shape (...).

        Raises:
            TypeError: The task is not goal-conditioned.
            ValueError: The goals' shapes differ or do not end in 2.
        """
        if not self._goal_conditioned:
            raise TypeError("make the maze with goal_conditioned=True for rewards of goals")
        achieved = np.ascontiguousarray(achieved_goal, np.float32)
        desired = np.ascontiguousarray(desired_goal, np.float32)
        if achieved.shape != desired.shape or achieved.shape[-1:] != (2,):
            raise ValueError(f"goals must have one shape (..., 2), got {achieved.shape} and {desired.shape}")
        rewards = np.empty(achieved.shape[:-1])
        _goal_rewards(achieved.reshape(-1, 2), desired.reshape(-1, 2), self._radius, rewards.reshape(-1))
        return rewards
