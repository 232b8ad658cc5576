"""Any grid task as the shell's `Dynamics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from shapegym.envs.dynamics import Dynamics, LaneBatch, State, StepOutcome
from shapegym.envs.grid.beacons.guidance import Guidance, guidance_of
from shapegym.envs.grid.beacons.guide import NOTES, Guide
from shapegym.envs.grid.companion import Companion
from shapegym.envs.grid.features.captions import CAPTION, TEXTS, Narrator
from shapegym.envs.grid.features.reader import REQUESTED, FeatureReader, requested_feature
from shapegym.envs.grid.fused import advance_lane
from shapegym.envs.grid.lane.cells import GREY_WALL
from shapegym.envs.grid.lane.facts import OBSTACLES, STEPS
from shapegym.envs.grid.lane.pcg64 import STREAM_WORDS, seed_stream
from shapegym.envs.grid.lane.stepping import ACTION_NAMES, CAPTIONS, step_lanes
from shapegym.envs.grid.lane.task import GridTask
from shapegym.envs.grid.sight.observations import Observer
from shapegym.envs.grid.sight.rendering import Renderer
from shapegym.envs.notes import Note, coded

MOST_LAYOUTS = 1_000_000
"""Whose random streams are kept."""


class LayoutError(RuntimeError):
    """A layout could not be drawn: the random search for free cells found none."""


class GridDynamics(Dynamics):
    """Plays a grid task.

    Args:
        task: The task.
        observation: "dict" (MiniGrid's: image, direction, mission), "image", or "flat" (one vector).
        image: What the image shows: "partial" (MiniGrid's view), "full", "onehot" or "symbolic", each as
            minigrid's wrapper of that name makes it.
        mission: "text", "tokens" (ids into `shapegym.envs.grid.sight.missions.VOCABULARY`) or "none"; by default
            text in a dict and none elsewhere.
        features: Names beyond the standard ones, of `shapegym.envs.grid.features.reader.REQUESTED`; "all" for all of them.
        subgoals: A teacher's subgoals, which the agent sees and rewards read: "oracle", or fields of
            `shapegym.envs.grid.beacons.guidance.Guidance`; None for none.
        layouts: How many layouts there are, those that the seeds from 0 on begin with, of which each episode draws one; None for
            MiniGrid's endless number.
        agent_view_size: Side of the view, odd, 3 .. 31.
        see_through_walls: Whether walls and doors do not block the view; None leaves it to the task.
        highlight: Whether pictures show the agent's view lighter.
        tile_size: Pixels of a cell's side in pictures.
        agent_pov: Whether pictures show the agent's view instead of the whole grid.
        screen_size: Pixels of the window's side in render mode "human".

    Raises:
        TypeError, ValueError: Unknown or unfitting option.
    """

    truncates_terminal = True
    pays_by_limit = True
    render_modes = Renderer.modes
    views: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "flat": {"observation": "flat"},
        "image": {"observation": "image"},
        "flat_full": {"observation": "flat", "image": "full"},
        "image_full": {"observation": "image", "image": "full"},
    }

    def __init__(
        self,
        task: GridTask,
        *,
        observation: str = "dict",
        image: str = "partial",
        mission: str | None = None,
        features: str | Sequence[str] = (),
        subgoals: str | Mapping[str, Any] | Guidance | None = None,
        layouts: int | None = None,
        agent_view_size: int = 7,
        see_through_walls: bool | None = None,
        highlight: bool = True,
        tile_size: int = 32,
        agent_pov: bool = False,
        screen_size: int = 640,
    ) -> None:
        if see_through_walls is not None:
            if not isinstance(see_through_walls, bool):
                raise TypeError(f"see_through_walls must be True, False or None, got {see_through_walls!r}")
            task = replace(task, see_through_walls=see_through_walls)
        self.task = task
        self.pad = agent_view_size - 1
        self.reader = FeatureReader(task, features)
        self.guide = None if subgoals is None else Guide(task, self.pad, guidance_of(subgoals))
        self.companions: list[Companion] = [] if self.guide is None else [self.guide]
        if CAPTION in self.reader.spaces:
            self.companions.append(Narrator(task, agent_view_size))
        sign = None if self.guide is None else self.guide.sign
        self.observer = Observer(task, observation, image, mission, agent_view_size, sign)
        self.renderer = Renderer(
            task,
            agent_view_size,
            highlight=highlight,
            tile_size=tile_size,
            agent_pov=agent_pov,
            screen_size=screen_size,
        )
        self.observation_space = self.observer.space
        self.action_space = spaces.Discrete(task.actions)
        self.features = {**self.reader.spaces, **(self.guide.spaces if self.guide else {})}
        self.texts = tuple(name for name in self.features if name in TEXTS)
        self.aim = task.aim
        self.notes = {
            **self.reader.notes,
            **(NOTES if self.guide else {}),
            "action": Note("What the agent does.", codes=coded(ACTION_NAMES[: task.actions])),
        }
        self.offered = self.reader.offered
        self.captions = CAPTIONS
        self.missions = task.missions
        self.grid_size = task.width, task.height
        self.action_names = ACTION_NAMES[: task.actions]
        self.max_steps = task.max_steps
        if layouts is not None and (not isinstance(layouts, int) or not 1 <= layouts <= MOST_LAYOUTS):
            raise ValueError(
                f"layouts must be a number of them, 1 to {MOST_LAYOUTS:,}, or None, got {layouts!r}"
            )
        self._beginnings = (
            None if layouts is None else np.stack([seed_stream(seed) for seed in range(layouts)])
        )
        self.reset_draws = sum(companion.draws for companion in self.companions) + (layouts is not None)
        marks = "".join(f", with {companion.mark}" for companion in self.companions)
        marks += "" if layouts is None else f", of {layouts} layouts"
        self.fingerprint = f"{task.name}, {task.max_steps} steps, seen from {self.pad} cells{marks}"

    @classmethod
    def reports_on_request(cls, feature: str) -> bool:
        """Whether it is one that costs a look at the whole grid."""
        return requested_feature(feature) is not None

    def about(self) -> Mapping[str, str]:
        """What all grid worlds share."""
        return {
            "Options": f"of every grid world: {signature(GridDynamics)}",
            "Features": f"beyond those above, with features=(...): {', '.join(REQUESTED)}",
        }

    def allocate(self, lanes: int) -> State:
        """Codes of all cells within walls, the facts and random stream of every lane, and what companions remember."""
        task, pad = self.task, self.pad
        state: State = {
            "cells": np.full((lanes, task.height + 2 * pad, task.width + 2 * pad), GREY_WALL, np.uint8),
            "facts": np.zeros((lanes, OBSTACLES + 2 * task.obstacles), np.int64),
            "streams": np.zeros((lanes, STREAM_WORDS), np.uint64),
        }
        for companion in self.companions:
            state.update(companion.allocate(lanes))
        return state

    def seed(self, state: State, lane: int, seed: int | None) -> None:
        """Give the lane the random stream that Gymnasium gives an environment of that seed."""
        state["streams"][lane] = seed_stream(seed)

    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Lay out new episodes.

        Raises:
            LayoutError: Where MiniGrid, too, gives up looking for a free cell.
        """
        drawn = 0
        if self._beginnings is not None:
            chosen = (noise[mask, 0] * len(self._beginnings)).astype(np.int64)
            state["streams"][mask] = self._beginnings[chosen]
            drawn = 1
        failed = self.task.reset(
            state["cells"], state["facts"], state["streams"], mask, self.pad, *self.task.knobs
        )
        if failed >= 0:
            raise LayoutError(
                f"lane {failed}: {self.task.name} found no place for everything that it lays out; "
                "use a larger grid or fewer objects, then reset"
            )
        for companion in self.companions:
            companion.begin(state, noise[:, drawn : drawn + companion.draws], mask)
            drawn += companion.draws

    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Move, and apply the task's rule."""
        for companion in self.companions:
            companion.watch(state)
        step_lanes(
            self.task.rule,
            self.task.max_steps,
            self.pad,
            state["cells"],
            state["facts"],
            state["streams"],
            actions,
            active,
            *outcome,
        )
        for companion in self.companions:
            companion.follow(state, actions, active)

    def advance(self, batch: LaneBatch) -> int:
        """As by default, without writing missions again; a single lane in one call."""
        cells, facts = batch.state["cells"], batch.state["facts"]
        if len(batch.active) > 1 or not self.observer.partial or self.companions:
            ended = self.play(batch)
            self.observer.write_view(cells, facts, batch.everyone, batch.observation)
            self._show_subgoals(batch.state, batch.observation, batch.everyone)
            self.measure(batch.state, batch.features, batch.everyone)
            return ended
        arguments = batch.scratch.get("lane")
        if arguments is None:
            arguments = batch.scratch["lane"] = self._arguments_of_lane(batch)
        ended = advance_lane(*arguments)
        self.reader.write_beyond(self.pad, cells, facts, batch.everyone, batch.features)
        return ended

    def _arguments_of_lane(self, batch: LaneBatch) -> tuple[Any, ...]:
        """What `advance_lane` takes; a mission does not change within an episode, so a reset has written it."""
        task, observer, outcome, features = self.task, self.observer, batch.outcome, batch.features
        directions = observer.directions(batch.observation)
        return (
            task.rule,
            task.max_steps,
            batch.limit,
            self.truncates_terminal,
            observer.side,
            observer.through_walls,
            batch.state["cells"],
            batch.state["facts"],
            batch.state["streams"],
            batch.actions,
            batch.active,
            *outcome,
            batch.elapsed,
            batch.truncated,
            batch.done,
            observer.image_rows(batch.observation),
            features["agent_dir"] if directions is None else directions,
            features["agent_pos"],
            features["agent_dir"],
            features["carrying"],
            features["carrying_color"],
            features["has_key"],
            features["front"],
            features["mission_id"],
        )

    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """What the agent sees."""
        self.observer.write(state["cells"], state["facts"], mask, observation)
        self._show_subgoals(state, observation, mask)

    def _show_subgoals(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        if self.guide is not None:
            self.guide.show(state, mask, self.observer.signs(observation))

    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Where the agent is, what it carries and faces, and whatever else was asked for."""
        self.reader.write(state["cells"], state["facts"], mask, features)
        for companion in self.companions:
            companion.write(state, mask, features)

    def timeless(self, state: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The cells, and the facts but for the clock."""
        facts = state["facts"].copy()
        facts[:, STEPS] = 0
        return {"cells": state["cells"], "facts": facts}

    def render(self, state: State, lane: int, mode: str) -> NDArray[np.uint8] | None:
        """MiniGrid's picture of a lane: (rows, columns, 3), or None in mode "human", which has a window for it."""
        pad, task = self.pad, self.task
        cells = state["cells"][lane, pad : pad + task.height, pad : pad + task.width]
        return self.renderer.render(cells, state["facts"][lane], mode)

    def close(self) -> None:
        """Close the window, if one is open."""
        self.renderer.close()
