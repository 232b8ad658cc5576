"""What a task supplies: lane arrays, and compiled functions of (state, action, noise) on them.

The shell in `native.py` owns everything that all tasks share: random streams, time limits, autoreset, checks
of actions, snapshots, Gymnasium's return values. A task is left with its dynamics, which are pure functions
of arrays: even the randomness arrives as an argument, a block of uniform numbers drawn from each lane's own
stream. That is what makes one seed mean the same episode in the single and the vector form, and what lets a
reference implementation be a plain loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from shapegym.envs._lanes import clear_outcome, end_step
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.notes import Note, coded

State = dict[str, NDArray[Any]]
"""The lanes' state: name -> array (B, ...). Everything that the next step depends on, and nothing else."""


class StepOutcome(NamedTuple):
    """Where a step writes its results, cleared to zero / False before every call.

    Attributes:
        reward: (B,) float64, the task reward r_{t+1}.
        terminated: (B,) bool, whether s_{t+1} is terminal. The time limit is the shell's business.
        success: (B,) bool, whether this step solved the task.
        event: (B,) int64, what happened in this step, an index into `captions`; 0 = nothing.
    """

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    success: NDArray[np.bool_]
    event: NDArray[np.int64]

    @classmethod
    def empty(cls, lanes: int) -> StepOutcome:
        """Buffers for `lanes` lanes."""
        return cls(
            np.zeros(lanes), np.zeros(lanes, np.bool_), np.zeros(lanes, np.bool_), np.zeros(lanes, np.int64)
        )

    def clear(self) -> None:
        """Set every entry to zero / False."""
        clear_outcome(*self)


@dataclass(frozen=True)
class LaneBatch:
    """The shell's buffers for B lanes: what a step reads, and where it writes.

    Attributes:
        state: The lanes' state.
        actions: (B,) int64 or (B, *shape), valid for the active lanes.
        noise: (B, step_draws) uniforms.
        active: (B,) bool, the lanes to step.
        everyone: (B,) bool, all True.
        outcome: Results of the step.
        elapsed: (B,) int64, steps of the running episode.
        limit: Steps after which an episode is truncated; the task's `max_steps` unless somebody asked for others.
        truncated: (B,) bool, whether this step ran out of time.
        done: (B,) bool, whether this step ended the episode.
        observation: As `observe` writes it.
        features: As `measure` writes them.
        scratch: Whatever the task wants to keep for this batch; copies and pickles begin with none, as it may
            hold views, which a copy would part from their arrays.
    """

    state: State
    actions: NDArray[Any]
    noise: NDArray[np.float64]
    active: NDArray[np.bool_]
    everyone: NDArray[np.bool_]
    outcome: StepOutcome
    elapsed: NDArray[np.int64]
    limit: int
    truncated: NDArray[np.bool_]
    done: NDArray[np.bool_]
    observation: Any
    features: Mapping[str, NDArray[Any]]
    scratch: dict[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the scratch, for copies and pickles."""
        return {**self.__dict__, "scratch": {}}


class Dynamics(ABC):
    """A task for the shell: subclass it, set the attributes in `__init__`, implement the five methods.

    The object holds constants only (sizes, tables, layouts); what changes from step to step is in the state
    arrays that `allocate` makes, so one object may serve any number of environments. Methods loop over lanes
    in compiled kernels and write into the buffers they are given; they never allocate per step and never loop
    over lanes in Python.

    The docstring of a task's builder (the function that registration names) is the documentation of its ids
    and has the sections Description, Why it is sparse, Actions, Observations, Reward, Termination and
    truncation, Features, Ids.

    Attributes:
        observation_space: Space of one lane's observation: Box, Discrete, MultiBinary, or a Dict of these.
        action_space: Space of one lane's action: Discrete or bounded Box.
        features: Space of each feature of one lane, by name: Discrete (int64) or Box (scalars have shape ()).
            The shell adds `success` and `event`. Features describe the state (for rewards and potentials to
            read) and are reported on reset and on every step.
        captions: Short text of each event id; entry 0 is the empty text of "nothing happened".
        max_steps: Steps after which an unfinished episode is truncated.
        reset_draws: Uniform numbers in [0, 1) that `reset` needs for a lane.
        step_draws: Uniform numbers in [0, 1) that `step` needs for a lane.
        truncates_terminal: Whether a step that ends the episode at the time limit counts as truncated too,
            as MiniGrid reports it. By default it is terminated alone: its value is known.
        deadline: Whether the time limit is part of the task: it then terminates the episode, with nothing
            more to come, instead of truncating it.
        pays_by_limit: Whether rewards count on `max_steps`, so that no longer limit makes sense.
        render_modes: What `render` offers, in Gymnasium's words; empty where there is nothing to see.
        render_fps: Pictures a second that show episodes at a good speed.
        fingerprint: Text that identifies the task with all of its knobs; a snapshot goes back only where it
            is equal.
        finite: The task as tables, of a task that has them: exact questions about it then have answers.
        grid_size: (width, height) in cells, of a grid world that is played on tiles and drawn by `render`; its
            positions are (x, y), those of other tasks (row, column).
        missions: What may be asked of the agent, in words; the feature `mission_id` says which it is.
        action_names: What each action is called, where actions have names.
        aim: What the agent is to do, in a sentence that says nothing of pay; empty where nobody said it.
        notes: What features mean, by name; "action" is the agent's action.
        offered: The same of the features that this task reports if its option `features` asks for them.
        texts: Features that are texts (`shapegym.texts`): bytes, which the single form also shows as the text they are.
        views: Name of what agents may see of a task of this class -> the options that show it.
    """

    observation_space: Space[Any]
    action_space: Space[Any]
    features: Mapping[str, Space[Any]]
    captions: tuple[str, ...]
    max_steps: int
    reset_draws: int = 0
    step_draws: int = 0
    truncates_terminal: bool = False
    deadline: bool = False
    pays_by_limit: bool = False
    render_modes: tuple[str, ...] = ()
    render_fps: int = 10
    fingerprint: str
    finite: FiniteTask | None = None
    grid_size: tuple[int, int] | None = None
    missions: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    aim: str = ""
    notes: Mapping[str, Note] = MappingProxyType({})
    offered: Mapping[str, Note] = MappingProxyType({})
    texts: tuple[str, ...] = ()
    views: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @property
    def declared(self) -> Mapping[str, Space[Any]]:
        """Space of everything in an environment's info: `features`, and what the shell adds."""
        return {
            **self.features,
            "success": spaces.Box(0, 1, (), np.bool_),
            "event": spaces.Discrete(len(self.captions)),
        }

    @property
    def noted(self) -> Mapping[str, Note]:
        """What everything in an environment's info means: `notes`, and those of what the shell adds.

        An event may be that the task was solved, so it tells as much as the flag does.
        """
        return {
            **self.notes,
            "success": Note("Whether this step solved the task.", oracle=True),
            "event": Note("What happened in this step.", codes=coded(self.captions), oracle=True),
        }

    @classmethod
    def reports_on_request(cls, feature: str) -> bool:  # noqa: ARG003 (most tasks report all they have)
        """Whether tasks of this class report a feature of that name if their option `features` asks for it."""
        return False

    def about(self) -> Mapping[str, str]:
        """What else a catalogue should say of the task: heading -> text."""
        return {}

    def exact_returns(self) -> tuple[float, float] | None:
        """Expected return of the best and of the uniformly random policy; None where they are not known exactly."""
        return None

    @abstractmethod
    def allocate(self, lanes: int) -> State:
        """Make the state arrays of `lanes` lanes (any content: a reset follows)."""

    def seed(self, state: State, lane: int, seed: int | None) -> None:  # noqa: B027 (most tasks have none)
        """Seed a lane's own random stream, of a task that keeps one in its state instead of drawing noise.

        Args:
            state: The lanes' state, changed in place.
            lane: Whose stream.
            seed: Not negative; None takes fresh entropy from the operating system.
        """

    @abstractmethod
    def reset(self, state: State, noise: NDArray[np.float64], mask: NDArray[np.bool_]) -> None:
        """Put the lanes in `mask` into a start state.

        Args:
            state: The lanes' state, changed in place where `mask` holds.
            noise: (B, reset_draws) uniforms; rows outside `mask` are meaningless.
            mask: (B,) bool.
        """

    @abstractmethod
    def step(
        self,
        state: State,
        actions: NDArray[Any],
        noise: NDArray[np.float64],
        active: NDArray[np.bool_],
        outcome: StepOutcome,
    ) -> None:
        """Advance the lanes in `active` by one step.

        Args:
            state: The lanes' state, changed in place where `active` holds.
            actions: (B,) int64 for Discrete, (B, *shape) of the space's dtype for Box; already checked,
                C-contiguous.
            noise: (B, step_draws) uniforms; rows outside `active` are meaningless.
            active: (B,) bool.
            outcome: Cleared buffers; write the entries of active lanes that are not zero.
        """

    @abstractmethod
    def observe(self, state: State, observation: Any, mask: NDArray[np.bool_]) -> None:
        """Write the observations of the lanes in `mask`; those of the others have not changed.

        Args:
            state: The lanes' state.
            observation: An array (B, *shape), or a dict of such arrays for a Dict space. Its other rows hold
                what was written last, and may be written again.
            mask: (B,) bool.
        """

    @abstractmethod
    def measure(self, state: State, features: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_]) -> None:
        """Write the features of the lanes in `mask`, as `observe` does, into arrays (B, *shape) by name."""

    def advance(self, batch: LaneBatch) -> int:
        """Everything that a step does: `play`, then `observe` and `measure` of all lanes.

        A task whose kernels can do it in one call may override this; it then does the same.

        Returns:
            How many episodes ended.
        """
        ended = self.play(batch)
        self.observe(batch.state, batch.observation, batch.everyone)
        self.measure(batch.state, batch.features, batch.everyone)
        return ended

    def play(self, batch: LaneBatch) -> int:
        """`step` and the clocks; returns how many episodes ended."""
        batch.outcome.clear()
        self.step(batch.state, batch.actions, batch.noise, batch.active, batch.outcome)
        terminated, truncated = batch.outcome.terminated, batch.truncated
        ended = end_step(
            batch.active,
            min(batch.limit, self.max_steps) if self.deadline else batch.limit,
            self.truncates_terminal,
            terminated,
            truncated,
            batch.elapsed,
            batch.done,
        )
        if self.deadline and self.max_steps <= batch.limit:
            np.logical_or(terminated, truncated, out=terminated)
            truncated.fill(False)
        return ended

    def render(self, state: State, lane: int, mode: str) -> Any:
        """What a person sees of a lane, in one of `render_modes`.

        Raises:
            TypeError: The task has no picture.
        """
        raise TypeError(f"{self.fingerprint} has no picture: it cannot be rendered")

    def close(self) -> None:  # noqa: B027 (most tasks have none)
        """Close the window of render mode "human", if one is open; rendering again opens it anew."""

    def timeless(self, state: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """The arrays of `state` in which two visits of the same state are equal: without clocks and random streams."""
        return state

    def observe_states(self) -> NDArray[Any]:
        """What agents see of each state (S, ...) of the task's tables.

        Raises:
            TypeError: The task is not `finite`.
        """
        raise TypeError(f"{self.fingerprint} has no tables, so its states have no numbers")

    def states_of(self, observations: Any) -> NDArray[np.int64]:
        """The states (B,) of the task's tables that observations (B, ...) show.

        Raises:
            TypeError: The task is not `finite`.
        """
        raise TypeError(f"{self.fingerprint} has no tables, so its states have no numbers")

    def compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> NDArray[np.float64]:
        """Task reward (...) of reaching `achieved_goal` (..., G) when `desired_goal` (..., G) was asked for.

        A task is goal-conditioned if its observation is a Dict with these two names; such a task implements this.

        Raises:
            TypeError: The task is not goal-conditioned.
        """
        raise TypeError(f"{self.fingerprint} is not goal-conditioned: it has no reward of a goal")
