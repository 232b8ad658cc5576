"""The shell: one implementation of Gymnasium's two forms, around any `Dynamics`.

`NativeVectorEnv` steps all lanes in compiled kernels. `NativeEnv` is one lane of it, so that the single and
the vector form cannot drift apart. Both add to Gymnasium's interface: `features`, `captions`, `snapshot()` /
`restore()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import Space, spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, create_empty_array
from numpy.typing import NDArray

from shapegym.envs import snapshot as snapshots
from shapegym.envs._inputs import ActionBuffer, lane_seeds, reset_mask
from shapegym.envs._lanes import begin_episodes, draw_uniform, seed_stream
from shapegym.envs._options import episode_limit, give_own_limit, longest, render_mode_of
from shapegym.envs._threads import Team
from shapegym.envs.dynamics import Dynamics, LaneBatch, StepOutcome
from shapegym.envs.snapshot import Snapshot
from shapegym.texts import Text

Tree = TypeVar("Tree")
GoalReward = Callable[[NDArray[Any], NDArray[Any], Any], NDArray[np.float64]]

_NO_MODE = 'there is no picture without a render mode: make the environment with render_mode="rgb_array", say'


class _Goals:
    """What both forms add for goal-conditioned tasks."""

    dynamics: Dynamics

    @property
    def compute_reward(self) -> GoalReward:
        """The task reward of goals, for hindsight relabelling; goal-conditioned tasks alone have this attribute.

        It is called as (achieved_goal (..., G), desired_goal (..., G), info) and returns shape (...); `info`
        plays no part.

        Raises:
            AttributeError: The task is not goal-conditioned. Libraries tell such tasks by the attribute.
        """
        space = self.dynamics.observation_space
        if not (isinstance(space, spaces.Dict) and {"achieved_goal", "desired_goal"} <= space.keys()):
            raise AttributeError(
                f"{self.dynamics.fingerprint} is not goal-conditioned: it has no compute_reward"
            )
        return lambda achieved_goal, desired_goal, info: (  # the usual signature
            self.dynamics.compute_reward(achieved_goal, desired_goal)
        )


class NativeVectorEnv(_Goals, gym.vector.VectorEnv[Any, Any, NDArray[Any]]):
    """B lanes of one task, stepped together.

    Info carries every feature as an array (B, ...) with Gymnasium's mask `_name`, on reset and on every step.

    Autoreset, by `autoreset_mode`:
        NEXT_STEP (default): the step after an episode's end ignores that lane's action and returns the new
            episode's first observation and info, with reward 0.
        SAME_STEP: the step that ends an episode returns the new episode's first observation and info; what
            the episode ended with is in `final_obs` and `final_info` (masks `_final_obs`, `_final_info`).
            These are dense arrays (B, ...): rows of lanes that go on hold their ordinary values, so that
                `info.get("final_obs", obs)` is the true successor.
        DISABLED: an ended lane must be reset with `options={"reset_mask": mask}` before the next step.

    Seeds: lane i of `reset(seed=s)` plays the same episodes as the single form after `reset(seed=s + i)`, for
    any number of lanes, and so do the episodes that follow without a seed. Without a seed a lane continues
    its stream.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        """Allocate the lanes.

        Args:
            dynamics: The task.
            num_envs: Number of lanes B, at least 1.
            autoreset_mode: See the class.
            copy: False returns the internal buffers, which the next call overwrites.
            render_mode: What `render` returns; "human" is for the single form alone.
            max_episode_steps: After which episodes are truncated; None for the task's own limit, -1 for none. A deadline stays.

        Raises:
            TypeError: A render mode for a task that has no picture.
            ValueError: `num_envs` below 1, an unknown autoreset or render mode, or a limit that is none.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self.dynamics = dynamics
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        modes = [mode for mode in dynamics.render_modes if mode != "human"]
        self.metadata = {
            "render_modes": modes,
            "render_fps": dynamics.render_fps,
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = render_mode_of(render_mode, modes, dynamics)
        self.copy = copy
        self.single_observation_space = dynamics.observation_space
        self.single_action_space = dynamics.action_space
        self.observation_space = batch_space(dynamics.observation_space, num_envs)
        self.action_space = batch_space(dynamics.action_space, num_envs)
        self.captions = dynamics.captions
        self.features = dynamics.declared

        self._seeded = self._started = False
        self._team = Team(num_envs)
        self._state = dynamics.allocate(num_envs)
        self._streams = np.zeros(num_envs, np.uint64)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._done = np.zeros(num_envs, np.bool_)
        self._arrays = {
            "streams": self._streams,
            "elapsed": self._elapsed,
            "done": self._done,
            **{f"state.{name}": array for name, array in self._state.items()},
        }
        self._actions = ActionBuffer(dynamics.action_space, num_envs)
        self._active = np.ones(num_envs, np.bool_)
        self._everyone = np.ones(num_envs, np.bool_)
        self._truncated = np.zeros(num_envs, np.bool_)
        self._outcome = StepOutcome.empty(num_envs)
        self._reset_noise = np.zeros((num_envs, dynamics.reset_draws))
        self._observation = _buffer(dynamics.observation_space, num_envs)
        self._measured: dict[str, NDArray[Any]] = {
            name: _buffer(space, num_envs) for name, space in dynamics.features.items()
        }
        self._batch = LaneBatch(
            state=self._state,
            actions=self._actions.values,
            noise=np.zeros((num_envs, dynamics.step_draws)),
            active=self._active,
            everyone=self._everyone,
            outcome=self._outcome,
            elapsed=self._elapsed,
            limit=episode_limit(dynamics, max_episode_steps),
            truncated=self._truncated,
            done=self._done,
            observation=self._observation,
            features=self._measured,
        )
        self._info_arrays = {
            **self._measured,
            "success": self._outcome.success,
            "event": self._outcome.event,
        }

    @property
    def episode_limit(self) -> int | None:
        """Steps after which an episode ends at the latest; None if it need not end."""
        return longest(self.dynamics, self._batch.limit)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: An int s seeds lane i with s + i; a sequence gives one seed (or None) a lane; None continues
                the streams.
            options: `{"reset_mask": mask}`, (B,) bool, restricts the reset to some lanes.

        Raises:
            TypeError: A seed or the mask is of the wrong type.
            ValueError: A seed is negative, a length does not fit, the mask selects no lane, or an option is
                unknown.
            ResetNeeded: A partial reset of an environment that was never reset.
        """
        mask = reset_mask(options, self.num_envs)
        seeds = lane_seeds(seed, self.num_envs)
        if not self._started and not mask.all():
            raise ResetNeeded("the first reset must cover all lanes: call reset() without a reset_mask first")
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
        for lane in np.flatnonzero(mask).tolist():
            if seeds[lane] is not None or not self._seeded:
                self._streams[lane] = seed_stream(seeds[lane])
                self.dynamics.seed(self._state, lane, seeds[lane])
        self._seeded = True
        self._begin(mask)
        return self._returned(self._observation), self._info(mask)

    def step(
        self, actions: Any
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Advance every lane by one step.

        Args:
            actions: (B,) integers for a Discrete action space, (B, *shape) real numbers for a Box.

        Returns:
            Observation (B, ...), reward (B,) float64, terminated (B,) bool, truncated (B,) bool, info.

        Raises:
            ResetNeeded: Before the first reset, or, with autoreset disabled, on a lane whose episode has
                ended.
            TypeError, ValueError: An action is invalid; nothing has moved.
        """
        self._require_ready()
        active = np.logical_not(self._done, out=self._active)
        self._actions.fill(actions, active)
        final: dict[str, Any] = {}
        with self._team:
            ended = self._advance()
            if self.autoreset_mode is AutoresetMode.NEXT_STEP:
                if not active.all():
                    self._begin(~active)
            elif self.autoreset_mode is AutoresetMode.SAME_STEP and ended:
                over = self._done.copy()
                final = self._final(over)
                self._begin(over)
        return (
            self._returned(self._observation),
            self._returned(self._outcome.reward),
            self._returned(self._outcome.terminated),
            self._returned(self._truncated),
            {**final, **self._info(self._everyone)},
        )

    def render(self) -> tuple[Any, ...] | None:
        """A picture of every lane, in the render mode that the environment was made with; None without one.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self.render_mode is None:
            gym.logger.warn(_NO_MODE)
            return None
        self._require_start("render")
        return tuple(
            self.dynamics.render(self._state, lane, self.render_mode) for lane in range(self.num_envs)
        )

    def snapshot(self, lanes: Sequence[int] | NDArray[np.int64] | None = None) -> Snapshot:
        """Copy the exact state of the given lanes (all by default): task state, random streams, clocks.

        Raises:
            ResetNeeded: Before the first reset.
            ValueError: `lanes` are not distinct lane numbers.
        """
        self._require_start("snapshot")
        index = snapshots.lane_indices(lanes, self.num_envs)
        return snapshots.take(self._arrays, self.dynamics.fingerprint, index)

    def restore(
        self, snapshot: Mapping[str, NDArray[Any]], lanes: Sequence[int] | NDArray[np.int64] | None = None
    ) -> None:
        """Continue the given lanes (all by default) exactly where a snapshot of as many lanes was taken.

        The snapshot may come from other lanes, another environment of the same task, or its single form.

        Raises:
            SnapshotError: The snapshot does not fit or was changed; nothing has moved.
            ResetNeeded: Some lanes would stay without a state, as the environment was never reset.
            ValueError: `lanes` are not distinct lane numbers.
        """
        index = snapshots.lane_indices(lanes, self.num_envs)
        if not self._started and len(index) < self.num_envs:
            raise ResetNeeded("restoring some lanes needs a reset() of all of them first")
        snapshots.put(snapshot, self._arrays, self.dynamics.fingerprint, index)
        self._seeded = self._started = True
        restored = np.zeros(self.num_envs, np.bool_)
        restored[index] = True
        self._read(restored)

    def _require_start(self, method: str) -> None:
        if not self._started:
            raise ResetNeeded(f"call reset() before {method}()")

    def _require_ready(self) -> None:
        self._require_start("step")
        if self.autoreset_mode is AutoresetMode.DISABLED and self._done.any():
            lanes = np.flatnonzero(self._done).tolist()
            raise ResetNeeded(
                f"the episodes of lanes {lanes} have ended: reset these lanes before the next step"
            )

    def _advance(self) -> int:
        """Step the active lanes with the actions in the buffer, and return how many episodes ended."""
        if self.dynamics.step_draws:
            draw_uniform(self._streams, self._active, self._batch.noise)
        return self.dynamics.advance(self._batch)

    def _begin(self, mask: NDArray[np.bool_]) -> None:
        draw_uniform(self._streams, mask, self._reset_noise)
        self._started = False  # and so it stays if a lane finds no start state
        self.dynamics.reset(self._state, self._reset_noise, mask)
        self._started = True
        begin_episodes(mask, self._elapsed, self._done, self._outcome.success, self._outcome.event)
        self._read(mask)

    def _read(self, mask: NDArray[np.bool_]) -> None:
        """Bring the observations and the features of the lanes in `mask` up to date."""
        self.dynamics.observe(self._state, self._observation, mask)
        self.dynamics.measure(self._state, self._measured, mask)

    def _info(self, present: NDArray[np.bool_]) -> dict[str, Any]:
        info: dict[str, Any] = {}
        present = self._returned(present)
        for name, values in self._info_arrays.items():
            info[name] = self._returned(values)
            info[f"_{name}"] = present
        return info

    def _final(self, ended: NDArray[np.bool_]) -> dict[str, Any]:
        """What the ended episodes ended with; copied, because the reset that follows reuses the buffers."""
        return {
            "final_obs": _copied(self._observation),
            "_final_obs": ended,
            "final_info": _copied(self._info(ended)),
            "_final_info": ended,
        }

    def _returned(self, buffer: Tree) -> Tree:
        return _copied(buffer) if self.copy else buffer


class NativeEnv(_Goals, gym.Env[Any, Any]):
    """One lane of a task: the single form.

    Info carries every feature as a Python scalar, or as an array where its space has a shape; a text as a `Text`. A finished
    episode must be reset before the next step. A snapshot has one row and fits any lane of the vector form,
    and the other way round.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        *,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        id_limit: int | None = None,
    ) -> None:
        """Allocate the lane.

        Args:
            dynamics: The task.
            render_mode: What `render` returns; in "human", reset and step show the state in a window.
            max_episode_steps: As in the vector form.
            id_limit: Of the id that it is made by; a wrapper with this limit gets that of the dynamics. See `give_own_limit`.

        Raises:
            TypeError: A render mode for a task that has no picture.
            ValueError: An unknown render mode.
        """
        self._lane = NativeVectorEnv(
            dynamics,
            1,
            autoreset_mode=AutoresetMode.DISABLED,
            copy=False,
            max_episode_steps=max_episode_steps,
        )
        self._id_limit = None if id_limit == dynamics.max_steps else id_limit
        self.metadata = {"render_modes": list(dynamics.render_modes), "render_fps": dynamics.render_fps}
        self.render_mode = render_mode_of(render_mode, dynamics.render_modes, dynamics)
        self.dynamics = dynamics
        self.observation_space = dynamics.observation_space
        self.action_space = dynamics.action_space
        self.features = self._lane.features
        self.captions = self._lane.captions
        self._observation = _one_lane(self.observation_space, self._lane._observation)
        self._info = [
            (name, self._lane._info_arrays[name], bool(space.shape)) for name, space in self.features.items()
        ]
        self._texts = [(name, self._lane._info_arrays[name]) for name in dynamics.texts]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a new episode; without a seed the random stream continues.

        Raises:
            TypeError: The seed is no int.
            ValueError: The seed is negative, or an option is given (there are none).
        """
        if options:
            raise ValueError(f"unknown reset options {sorted(options)}; the single form has none")
        lane = self._lane
        if self._id_limit is not None and give_own_limit(self, self._id_limit, self.dynamics.max_steps):
            self._id_limit = None
        lane.reset(seed=None if seed is None else [seed])
        super().reset(seed=None if seed is None else int(seed))
        if self.render_mode == "human":
            self.render()
        return _read_lane(self._observation), self._told()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Advance by one step.

        Raises:
            ResetNeeded: Before the first reset, or after the episode has ended.
            TypeError, ValueError: The action is invalid; nothing has moved.
        """
        lane = self._lane
        if lane._done.item(0) or not lane._started:
            lane._require_ready()
        lane._actions.fill_one(action)
        lane._advance()
        if self.render_mode == "human":
            self.render()
        return (
            _read_lane(self._observation),
            lane._outcome.reward.item(),
            lane._outcome.terminated.item(),
            lane._truncated.item(),
            self._told(),
        )

    def _told(self) -> dict[str, Any]:
        info: dict[str, Any] = _read_lane(self._info)
        for name, rows in self._texts:
            info[name] = Text(rows[0])
        return info

    def render(self) -> Any:
        """A picture of the state, in the render mode that the environment was made with; None without one.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self.render_mode is None:
            gym.logger.warn(_NO_MODE)
            return None
        self._lane._require_start("render")
        return self.dynamics.render(self._lane._state, 0, self.render_mode)

    def close(self) -> None:
        """Close the window, if one is open."""
        self.dynamics.close()

    def snapshot(self) -> Snapshot:
        """Copy the exact state: task state, random stream, clock.

        Raises:
            ResetNeeded: Before the first reset.
        """
        return self._lane.snapshot()

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Continue exactly where the snapshot was taken.

        Raises:
            SnapshotError: The snapshot does not fit or was changed; nothing has moved.
        """
        self._lane.restore(snapshot)


def dynamics_of(env: Any) -> Dynamics | None:
    """What an environment plays, single or vector form, in any wrappers; None for one that is not ours."""
    native = getattr(env, "unwrapped", env)
    return native.dynamics if isinstance(native, NativeEnv | NativeVectorEnv) else None


def _copied(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _copied(branch) for name, branch in tree.items()}
    return tree.copy()


def _buffer(space: Space[Any], lanes: int) -> Any:
    """Zeros for `lanes` lanes of a space; texts are an object array, which Gymnasium would make a tuple."""
    if isinstance(space, spaces.Dict):
        return {name: _buffer(inner, lanes) for name, inner in space.items()}
    if isinstance(space, spaces.Text):
        return np.full(lanes, "", np.object_)
    return create_empty_array(space, lanes, fn=np.zeros)


OneLane = list[tuple[str, Any, bool]]


def _one_lane(space: Space[Any], buffer: Any) -> OneLane:
    """What the single form reads of a buffer: (name, array (1, ...), whether it stays an array).

    The entries of a Dict; the one nameless entry of another space.
    """
    named = space.items() if isinstance(space, spaces.Dict) else [("", space)]
    return [(name, buffer[name] if name else buffer, bool(inner.shape)) for name, inner in named]


def _read_lane(entries: OneLane) -> Any:
    """Lane 0 as the single form returns it: a Python scalar for shape (), else a new array."""
    if entries and not entries[0][0]:
        _, buffer, shaped = entries[0]
        return buffer[0].copy() if shaped else buffer.item(0)
    return {name: buffer[0].copy() if shaped else buffer.item(0) for name, buffer, shaped in entries}
