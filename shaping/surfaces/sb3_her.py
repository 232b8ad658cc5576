"""Hindsight experience replay (Andrychowicz et al. 2017) with shaped rewards.

SB3's buffer asks the environment for the task reward of a virtual goal, so shaping by a wrapper misses all virtual transitions.
Here their terms are measured again with the virtual goal in ``obs`` and ``next_obs`` and the task reward that the environment
computes; stamped parts are kept, because they depend on what really happened, and so are features (see `.goals`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch as th
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer
from typing_extensions import override

from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.surfaces.goals import ACHIEVED, GOAL, require_independent, require_relabelled
from shapegym.shaping.surfaces.sb3_buffers import as_stored
from shapegym.shaping.surfaces.sb3_replay import HindsightReplay
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv
from shapegym.shaping.surfaces.stored_rows import Kept

MAX_COMPARED = 1000
"""Transitions whose features are compared with their goals."""


class ShapedHerReplayBuffer(HindsightReplay, HerReplayBuffer):
    """For SAC, TD3, DDPG, DQN and TQC with ``replay_buffer_class=HerReplayBuffer``."""

    relabels = True
    no_episodes = (
        "HER gives single transitions another goal, and an episodic expression decides about a step from its whole episode, which "
        "has no outcome under a goal that was never pursued. Use a plain replay buffer, or an expression without episodic nodes."
    )
    sample = HerReplayBuffer.sample

    @override
    def allocate(self, source: MeasuringVecEnv, keep_observations: bool) -> None:
        super().allocate(source, keep_observations)
        self._compared = 0  # transitions that were stored when features were last compared with goals

    @override
    def check(self, engine: RewardEngine) -> None:
        super().check(engine)
        require_relabelled(engine)

    @override
    def entries(self, engine: RewardEngine) -> set[str]:
        read = super().entries(engine)
        return read | {ACHIEVED} if GOAL in read else read  # which virtual goals are made of

    @override
    def cut(self, lanes: np.ndarray) -> None:
        super().cut(lanes)
        for lane in np.flatnonzero(lanes & (self._current_ep_start != self.pos)).tolist():
            self._compute_episode_length(lane)

    def _get_real_samples(
        self, batch_indices: np.ndarray, env_indices: np.ndarray, env: VecNormalize | None = None
    ) -> DictReplayBufferSamples:
        if self.source.engine.moves:
            self.refresh(batch_indices * self.n_envs + env_indices)
        return super()._get_real_samples(batch_indices, env_indices, env)

    def _get_virtual_samples(
        self, batch_indices: np.ndarray, env_indices: np.ndarray, env: VecNormalize | None = None
    ) -> DictReplayBufferSamples:
        self._compare_features()
        samples = super()._get_virtual_samples(batch_indices, env_indices, env)
        task_rewards = samples.rewards.cpu().numpy().astype(np.float64).reshape(-1)
        rows = batch_indices * self.n_envs + env_indices
        seen = self.recall(rows)
        virtual = replace(seen, reward=task_rewards)
        if GOAL in seen.obs:  # some term reads it
            goal = {GOAL: self.recall(self._goal_rows).next_obs[ACHIEVED]}
            virtual.obs, virtual.next_obs = Kept(seen.obs, **goal), Kept(seen.next_obs, **goal)
        shaped = as_stored(self.source.engine.pay(self.remeasure(rows, virtual)))
        return samples._replace(rewards=th.as_tensor(shaped.reshape(-1, 1), device=samples.rewards.device))

    def _compare_features(self) -> None:
        """Compare the features with the goals whenever the buffer holds twice as many transitions."""
        if self._compared and (self.full or self.size() < 2 * self._compared):
            return
        self._compared = self.size()
        rows = np.arange(self.size() * self.n_envs)[-MAX_COMPARED:]
        read = {
            name
            for reader in self.source.engine.program.readers
            for name in (*reader.reads, *reader.reads_before)
        }
        features = {name: values for name, values in self.recall(rows).next_features.items() if name in read}
        achieved, goal = (
            values.reshape(-1, *values.shape[2:])[rows]
            for values in (self.next_observations[ACHIEVED], self.next_observations[GOAL])
        )
        require_independent(features, achieved, goal)

    def _sample_goals(self, batch_indices: np.ndarray, env_indices: np.ndarray) -> np.ndarray:
        """Remember which transitions the virtual goals come from: SB3 keeps goals as the policy sees them.

        SB3's own choice is made on a view of the buffer in which the goals are the numbers of their rows.
        """
        view = object.__new__(type(self))
        numbers = np.arange(self.buffer_size * self.n_envs).reshape(self.buffer_size, self.n_envs)
        view.__dict__.update(self.__dict__, next_observations={ACHIEVED: numbers})
        self._goal_rows = super(ShapedHerReplayBuffer, view)._sample_goals(batch_indices, env_indices)
        goals: np.ndarray = self.next_observations[ACHIEVED][np.divmod(self._goal_rows, self.n_envs)]
        return goals
