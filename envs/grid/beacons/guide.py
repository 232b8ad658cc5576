"""Subgoals along an episode: a plan when it begins, the present subgoal for the agent to see, and which were reached, in order.

    subgoal_pos        column x and row y of the present subgoal, (-1, -1) after the last
    subgoal_reached    whether the step reached the present subgoal; the next one is the present one now
    subgoal_time       share of the time limit since the subgoal before, where one was reached; else 0
    subgoals_left      subgoals of the plan that were not passed yet
    subgoal_hidden     whether the agent is not shown the subgoals of this episode

A subgoal that is reached before its turn counts as done: when its turn comes it is passed over, and not reached again.

Source: Ruiz-Gonzalez et al. (2024), "Words as Beacons: guiding RL agents with high-level language prompts", sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.grid.beacons.guidance import Guidance
from shapegym.envs.grid.beacons.mistakes import mistake_places, mistake_things
from shapegym.envs.grid.beacons.plans import MOST, rehearse
from shapegym.envs.grid.beacons.recorded import RecordedPlans
from shapegym.envs.grid.beacons.showing import WIDTHS, codes, show_offsets, show_rows, triples
from shapegym.envs.grid.companion import Companion, State
from shapegym.envs.grid.features.requested import cell_space
from shapegym.envs.grid.lane.facts import X, Y
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.notes import Note

_AT, _COUNT, _SINCE, _TOOK, _HIDDEN = range(5)
"""Columns of a lane's course: the present subgoal, how many there are, steps since the last one, how many the one that this step
reached took (0 for none), and whether they are hidden."""

NOTES = {
    "subgoal_pos": Note(
        "Column x and row y of the present subgoal, (-1, -1) if there is none.", "cells", oracle=True
    ),
    "subgoal_reached": Note("Whether the step reached the present subgoal.", oracle=True),
    "subgoal_time": Note(
        "The share of the time limit that the subgoal took which was reached in the step.",
        "limits",
        oracle=True,
    ),
    "subgoals_left": Note("How many subgoals are left.", "subgoals", oracle=True),
    "subgoal_hidden": Note("Whether the agent is not shown the subgoals of the episode.", oracle=True),
}


@jit
def _set_out(
    pad: int,
    cells: NDArray[np.uint8],
    hidden: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    plans: NDArray[np.int64],
    there: NDArray[np.int64],
    course: NDArray[np.int64],
) -> None:
    """Begin the plans of the lanes in `mask`."""
    for lane in range(mask.shape[0]):
        if not mask[lane]:
            continue
        count = 0
        while count < plans.shape[1] and plans[lane, count, 0] >= 0:
            there[lane, count] = cells[lane, plans[lane, count, 1] + pad, plans[lane, count, 0] + pad]
            count += 1
        course[lane, :] = 0
        course[lane, _COUNT], course[lane, _HIDDEN] = count, hidden[lane]


@jit
def _go_on(
    pad: int,
    cells: NDArray[np.uint8],
    facts: NDArray[np.int64],
    active: NDArray[np.bool_],
    plans: NDArray[np.int64],
    there: NDArray[np.int64],
    course: NDArray[np.int64],
) -> None:
    """Mark what the active lanes have reached; `there` is what stood in the cells, or -1 where a subgoal is done."""
    for lane in range(active.shape[0]):
        if not active[lane]:
            continue
        at, count = course[lane, _AT], course[lane, _COUNT]
        course[lane, _SINCE] += 1
        course[lane, _TOOK] = 0
        for i in range(at, count):
            x, y = plans[lane, i, 0], plans[lane, i, 1]
            stands = facts[lane, X] == x and facts[lane, Y] == y
            if stands or np.int64(cells[lane, y + pad, x + pad]) != there[lane, i]:
                there[lane, i] = -1
        if at < count and there[lane, at] < 0:
            course[lane, _TOOK], course[lane, _SINCE] = course[lane, _SINCE], 0
            while at < count and there[lane, at] < 0:
                at += 1
            course[lane, _AT] = at


@jit
def _present(plans: NDArray[np.int64], course: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write the present subgoals (B, 3), -1 for none."""
    for lane in range(out.shape[0]):
        at = course[lane, _AT]
        for column in range(out.shape[1]):
            out[lane, column] = plans[lane, at, column] if at < course[lane, _COUNT] else -1


class Guide(Companion):
    """Subgoals of a task's lanes.

    Args:
        task: The task.
        pad: Columns and rows of walls that its cells have on every side.
        guidance: What was asked for.

    Raises:
        PlanFileError: Its file of plans cannot be read.
    """

    draws = 1

    def __init__(self, task: GridTask, pad: int, guidance: Guidance) -> None:
        self._task, self._pad, self.guidance = task, pad, guidance
        self.mark = f"subgoals {guidance}"
        self._recorded = None if guidance.teacher in ("oracle", "none") else RecordedPlans(guidance.teacher)
        self._rows = {"representation": triples, "language": codes}.get(guidance.show, triples)()
        self.spaces: dict[str, Space[Any]] = {
            "subgoal_pos": cell_space(task),
            "subgoal_reached": spaces.Box(0, 1, (), np.bool_),
            "subgoal_time": spaces.Box(0.0, 1.0, (), np.float64),
            "subgoals_left": spaces.Discrete(MOST + 1),
            "subgoal_hidden": spaces.Box(0, 1, (), np.bool_),
        }
        self.sign = spaces.Box(0, 15, (WIDTHS[guidance.show],), np.uint8)

    def allocate(self, lanes: int) -> dict[str, NDArray[Any]]:
        """Plans, what stood in their cells, and how far the lanes are."""
        return {
            "plans": np.full((lanes, MOST, 3), -1, np.int64),
            "there": np.full((lanes, MOST), -1, np.int64),
            "course": np.zeros((lanes, 5), np.int64),
        }

    def begin(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Plan, with the teacher's mistakes."""
        task, pad, asked = self._task, self._pad, self.guidance
        cells, facts, plans = state["cells"], state["facts"], state["plans"]
        if self._recorded is not None:
            self._recorded.write(pad, cells, facts, mask, plans)
        elif asked.teacher == "oracle":
            rehearse(task, pad, cells, facts, state["streams"], mask, plans)
        else:
            plans[mask] = -1
        if asked.accuracy < 1 and asked.show == "relative":
            mistake_places(
                asked.seed, asked.accuracy, asked.mean, asked.spread, pad, cells, facts, mask, plans
            )
        elif asked.accuracy < 1:
            mistake_things(asked.seed, asked.accuracy, pad, cells, facts, mask, plans)
        _set_out(pad, cells, noise[:, 0] < asked.hidden, mask, plans, state["there"], state["course"])

    def watch(self, state: State) -> None:
        """Nothing: what stood in the cells of the plan is known."""

    def follow(self, state: State, actions: NDArray[np.int64], active: NDArray[np.bool_]) -> None:
        """See what was reached."""
        del actions
        _go_on(
            self._pad, state["cells"], state["facts"], active, state["plans"], state["there"], state["course"]
        )

    def write(self, state: State, mask: NDArray[np.bool_], features: Mapping[str, NDArray[Any]]) -> None:
        """Where the present subgoal is, and what was reached."""
        course = state["course"]
        took = course[:, _TOOK]
        np.copyto(features["subgoal_pos"], self._subgoals(state)[:, :2], where=mask[:, None])
        np.copyto(features["subgoal_reached"], took > 0, where=mask)
        np.copyto(features["subgoal_time"], np.minimum(took / self._task.max_steps, 1.0), where=mask)
        np.copyto(features["subgoals_left"], course[:, _COUNT] - course[:, _AT], where=mask)
        np.copyto(features["subgoal_hidden"], course[:, _HIDDEN] > 0, where=mask)

    def show(self, state: State, mask: NDArray[np.bool_], out: NDArray[np.uint8]) -> None:
        """Write what the agents of the lanes in `mask` see of their subgoals, into rows of `sign`."""
        subgoals = self._subgoals(state)
        subgoals[state["course"][:, _HIDDEN] > 0] = -1
        if self.guidance.show == "relative":
            show_offsets(state["facts"], subgoals, mask, out)
        else:
            show_rows(self._rows, subgoals, mask, out)

    @staticmethod
    def _subgoals(state: State) -> NDArray[np.int64]:
        subgoals = np.empty((len(state["course"]), 3), np.int64)
        _present(state["plans"], state["course"], subgoals)
        return subgoals
