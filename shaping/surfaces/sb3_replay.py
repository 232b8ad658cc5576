"""The off-policy surface: replay buffers that keep the parts of every transition beside its task reward.

``rewards`` (what SB3 learns from) holds shaped rewards, ``task_rewards`` the task's. An elementwise expression is paid when a
transition is stored. An episodic one is paid when the transition's episode ends, and only then can it be sampled. Where parts go
out of date (a weight that is annealed, a lifetime count) the sampled transitions are measured again with the statistics of now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.buffers import DictReplayBuffer, NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from typing_extensions import override

from shapegym.shaping.arrays import tree_map
from shapegym.shaping.errors import HindsightError, WiringError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.evaluation.tape import whole_episode
from shapegym.shaping.promises import Replay
from shapegym.shaping.surfaces.sb3_buffers import HindsightBuffer, as_stored, require_task_reward
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv
from shapegym.shaping.surfaces.stored_rows import StoredRows
from shapegym.shaping.transitions import Transitions
from shapegym.shaping.tree import compares_episodes
from shapegym.shaping.types import Reader

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer as _Replay
else:
    _Replay = object
_ROW_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class HindsightReplay(HindsightBuffer, _Replay):
    """Mixin in front of a replay buffer class.

    Attributes:
        parts: part of every term when the transition happened, items behind them, (size, B, N') float64.
        task_rewards: (size, B) float64.
    """

    relabels = False
    """Whether the buffer makes virtual transitions, whose pure parts must be measured too."""

    no_episodes = ""
    """Why the buffer cannot pay episodic expressions, if it cannot, and what to do."""

    @override
    def allocate(self, source: MeasuringVecEnv, keep_observations: bool) -> None:
        engine = source.engine
        self.check(engine)
        super().allocate(source, keep_observations)
        self._paid_by = engine.expression, engine.spec.gamma
        self.parts = np.zeros((self.buffer_size, self.n_envs, len(engine.program.row_names)))
        self.task_rewards = np.zeros((self.buffer_size, self.n_envs))
        self.memory = (
            StoredRows(
                engine.spec,
                self.buffer_size,
                keep_observations=keep_observations or self.optimize_memory_usage,
                entries=self.entries(engine),
            )
            if engine.moves or self.relabels
            else None
        )
        # By transition: where its whole episode begins and how long it is, 0 while it may not be sampled.
        self.episode_start = np.zeros((self.buffer_size, self.n_envs), dtype=np.int64)
        self.episode_length = np.zeros((self.buffer_size, self.n_envs), dtype=np.int64)
        # By lane: how many steps of its open episode are stored, -1 if not all of them are.
        self._open = np.full(self.n_envs, -1, dtype=np.int64)

    def entries(self, engine: RewardEngine) -> set[str]:
        """Return the entries of observations that are read when transitions are measured again."""
        again = (Replay.FROZEN, Replay.RECOMPUTE) if self.relabels else (Replay.FROZEN,)
        terms = zip(engine.terms, engine.program.replays, strict=True)
        readers: list[Reader] = [*engine.program.models]
        readers += [term for term, replay in terms if replay in again]
        return {entry for reader in readers for entry in reader.entries}

    def check(self, engine: RewardEngine) -> None:
        """Raise a `ShapingError` if this buffer cannot pay the expression of ``engine``."""
        if company := compares_episodes(engine.expression):
            raise HindsightError(
                f"{type(company).__name__} compares an episode with others that ended about then, and a replay buffer pays one "
                "by itself. Off-policy learners need no baseline: pay what it compares, or use a rollout buffer (PPO, A2C)."
            )
        if engine.episodic and self.no_episodes:
            raise HindsightError(self.no_episodes)
        if self.optimize_memory_usage and engine.episodic:
            raise WiringError(
                "optimize_memory_usage=True overwrites the last state of every episode, so transitions cannot be sampled one by "
                "one, which this episodic expression needs. Use optimize_memory_usage=False."
            )

    def reattach(self, source: MeasuringVecEnv) -> None:
        """Go on with ``source`` after the buffer was loaded; its open episodes stay unpaid.

        Raises:
            WiringError: if the buffer was filled with another expression, discount or number of lanes.
        """
        engine = source.engine
        if self._paid_by != (engine.expression, engine.spec.gamma) or self.n_envs != source.num_envs:
            expression, gamma = self._paid_by
            raise WiringError(
                f"The loaded buffer was paid by {expression} with gamma={gamma} for {self.n_envs} lane(s), and this is "
                f"{engine.expression} with gamma={engine.spec.gamma} for {source.num_envs}. Wire the expression that filled it."
            )
        self._attach(source)
        self._open[:] = -1

    @property
    def was_paid(self) -> bool:
        """Whether the buffer belongs to an expression: it was wired, here or before it was saved."""
        return hasattr(self, "_paid_by")

    def reset(self) -> None:
        """Empty the buffer."""
        super().reset()
        if self.was_paid:
            self.episode_length[:] = 0
            self._open[:] = -1

    def add(
        self, obs: Any, next_obs: Any, action: np.ndarray, reward: np.ndarray, done: np.ndarray, infos: Any
    ) -> None:
        """Store a transition of every lane with the parts that were measured when it happened.

        The first one after a stopped rollout is left out: it does not begin in the last state that the model saw.

        Raises:
            WiringError: if the model was loaded and not wired, somebody else stepped its environment, or the reward was changed.
            HindsightError: if an episode is longer than the buffer.
            NonFiniteError: if a shaped reward does not fit into a float32.
        """
        source = self.source
        lost = source.take(infos[0])
        settled = source.settle()
        require_task_reward(np.asarray(reward), settled.task[-1])
        self.cut(np.full(self.n_envs, True) if lost else source.transitions.first)
        if lost:
            return
        position = self.pos
        super().add(obs, next_obs, action, reward, done, infos)
        self.parts[position] = source.last_parts.T
        self.task_rewards[position] = settled.task[-1]
        if self.memory is not None:
            self.memory.write(position, source.transitions)
        if source.engine.episodic:
            self._extend_episodes(position, source.transitions)
        else:
            self.rewards[position] = as_stored(settled.shaped[-1])

    def cut(self, lanes: np.ndarray) -> None:
        """Let no episode of the lanes of a (B,) mask go on from the last transition stored: `learn` has begun another."""
        self._open[lanes] = -1
        if self.optimize_memory_usage:  # the next state is about to be overwritten
            self.dones[self.pos - 1, lanes] = 1.0

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Sample transitions with the shaped rewards that they have now.

        Raises:
            HindsightError: if the expression is episodic and no episode has ended yet.
        """
        engine = self.source.engine
        if self.optimize_memory_usage or not (engine.episodic or engine.moves):
            return super().sample(batch_size, env)
        rows = self._choose(batch_size)
        if engine.moves:
            self.refresh(rows)
        return self._gather(rows, env)

    def refresh(self, rows: np.ndarray) -> None:
        """Measure transitions again, with all of their episodes if the expression is episodic, and write their rewards.

        Args:
            rows: ``step * B + lane`` of each, (M,) int.
        """
        engine = self.source.engine
        if not engine.episodic:
            rows = np.unique(rows)
            self.rewards.reshape(-1)[rows] = as_stored(engine.pay(self.remeasure(rows)))
            return
        steps, lanes = np.divmod(rows, self.n_envs)
        for first in np.unique(self.episode_start[steps, lanes] * self.n_envs + lanes):
            start, lane = divmod(int(first), self.n_envs)
            steps = self._episode(start, lane)
            self._pay_episode(steps, lane, self.remeasure(steps * self.n_envs + lane))

    def remeasure(self, rows: np.ndarray, transitions: Transitions | None = None) -> np.ndarray:
        """Return the parts, (N, M), that transitions have now; given ones count as relabelled."""
        stored = np.ascontiguousarray(self.parts.reshape(-1, self.parts.shape[-1])[rows].T)
        relabelled = transitions is not None
        again = self.recall(rows) if transitions is None else transitions
        return self.source.engine.remeasure(again, stored, relabelled=relabelled)

    def recall(self, rows: np.ndarray) -> Transitions:
        """Return stored transitions as the terms saw them."""
        if self.memory is None:
            raise WiringError(
                "This buffer keeps no transitions, because the parts of its expression never go out of date."
            )
        task_rewards = self.task_rewards.reshape(-1)[rows]
        if self.optimize_memory_usage:
            return self.memory.read(rows, None, None, task_rewards)
        obs, next_obs = _merge_lanes(self.observations), _merge_lanes(self.next_observations)
        return self.memory.read(rows, obs, next_obs, task_rewards)

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        """As SB3's, of steps whose lanes it draws only now: so all that it may read are measured again."""
        if self.source.engine.moves:
            read = np.unique(
                (batch_inds[:, None] + np.arange(getattr(self, "n_steps", 1))) % self.buffer_size
            )
            read = read[read < self.size()]
            self.refresh((read[:, None] * self.n_envs + np.arange(self.n_envs)).reshape(-1))
        return super()._get_samples(batch_inds, env)

    def _choose(self, batch_size: int) -> np.ndarray:
        episodic = self.source.engine.episodic
        known = np.flatnonzero(self.episode_length) if episodic else self.size() * self.n_envs
        if np.size(known) == 0:
            raise HindsightError(
                "No episode has ended yet, so no reward of this episodic expression is known. Choose learning_starts greater than "
                "the number of steps of an episode, times the number of environments."
            )
        return np.random.choice(known, size=batch_size)  # noqa: NPY002  the generator that SB3 seeds

    def _gather(self, rows: np.ndarray, env: VecNormalize | None) -> Any:
        """SB3's own sampling of given transitions: it draws the lane itself, so it gets a view in which there is one."""
        view = object.__new__(type(self))
        arrays = {name: _merge_lanes(getattr(self, name)) for name in _ROW_ARRAYS}
        view.__dict__.update(self.__dict__, **arrays, n_envs=1, buffer_size=self.buffer_size * self.n_envs)
        return super(HindsightReplay, view)._get_samples(rows, env)

    def _extend_episodes(self, position: int, transitions: Transitions) -> None:
        for lane in np.flatnonzero(self.episode_length[position]):
            self._forget(position, int(lane))
        length = self._open
        length[transitions.first] = 0
        length[length >= 0] += 1
        for lane in np.flatnonzero(length > self.buffer_size):
            length[lane] = -1
            raise HindsightError(
                f"An episode of lane {lane} is longer than the buffer ({self.buffer_size} steps a lane), so its rewards would "
                "never be known. Use a larger buffer_size or shorter episodes (gymnasium.wrappers.TimeLimit)."
            )
        for lane in np.flatnonzero((transitions.terminated | transitions.truncated) & (length > 0)):
            steps = (position - np.arange(length[lane])[::-1]) % self.buffer_size
            self.episode_start[steps, lane] = steps[0]
            self.episode_length[steps, lane] = length[lane]
            parts = np.ascontiguousarray(self.parts[steps, lane].T)
            self._pay_episode(steps, int(lane), parts, terminated=bool(transitions.terminated[lane]))
            length[lane] = -1

    def _episode(self, step: int, lane: int) -> np.ndarray:
        """The steps of the whole episode of a transition, in order."""
        start, length = self.episode_start[step, lane], self.episode_length[step, lane]
        return (start + np.arange(length)) % self.buffer_size

    def _pay_episode(
        self, steps: np.ndarray, lane: int, parts: np.ndarray, terminated: bool | None = None
    ) -> None:
        if terminated is None:
            terminated = self.memory.terminated(int(steps[-1]) * self.n_envs + lane)  # type: ignore[union-attr]
        paid = self.source.engine.pay(parts[:, :, None], whole_episode(len(steps), terminated))
        self.rewards[steps, lane] = as_stored(paid[:, 0])

    def _forget(self, position: int, lane: int) -> None:
        """The transition was overwritten. What is left of its episode stays paid, but cannot be measured again as a whole."""
        steps = np.array([position])
        if self.source.engine.moves:
            steps = self._episode(position, lane)
        self.episode_length[steps, lane] = 0


class ShapedReplayBuffer(HindsightReplay, ReplayBuffer):
    """For SAC, TD3, DDPG, DQN, QRDQN and TQC."""


class ShapedDictReplayBuffer(HindsightReplay, DictReplayBuffer):
    """For the same with Dict observations."""


class ShapedNStepReplayBuffer(HindsightReplay, NStepReplayBuffer):
    """For the same with n-step returns, which add up shaped rewards."""

    no_episodes = (
        "An n-step return adds up rewards of steps whose episode may still be open, and an episodic expression knows these only "
        "when it ends. Use n_steps=1, or an expression without episodic nodes."
    )
    sample = ReplayBuffer.sample

    @override
    def cut(self, lanes: np.ndarray) -> None:
        super().cut(lanes)
        self.timeouts[self.pos - 1, lanes & (self.dones[self.pos - 1] == 0)] = 1.0


def _merge_lanes(values: Any) -> Any:
    """A view of (size, B, ...) as (size * B, 1, ...), entry by entry for Dict observations."""
    return tree_map(lambda entry: entry.reshape(-1, 1, *entry.shape[2:]), values)
