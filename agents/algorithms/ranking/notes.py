"""What of every step SB3's rollout buffer lacks: the task's own reward, and what stands for the state where visits are counted."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from shapegym.agents.algorithms.ranking.visits import digests
from shapegym.agents.callbacks import find_surface
from shapegym.shaping.states.keys import Began, Keys
from shapegym.shaping.surfaces.collect import missing_feature, stack_features
from shapegym.shaping.surfaces.layers import batch_layers
from shapegym.shaping.transitions import Features


class StepNotes(BaseCallback):
    """Takes them down as a rollout is made; it reads observations as the policy sees them, and features of the environments.

    Args:
        keys: how states are told apart.
        began: what is known of keys, completed with the first of them.
    """

    def __init__(self, keys: Keys, began: Began) -> None:
        super().__init__()
        self.keys = keys
        self.began = began
        self._seen: list[np.ndarray] = []
        self._paid: list[np.ndarray] = []
        self._features: Features = {}
        """Of s_t, where the environments are objects and tell of a state when it is reached."""

    def taken(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the digests (T, B) and the task rewards (T, B) of the rollout."""
        return np.stack(self._seen), np.stack(self._paid)

    def _on_training_start(self) -> None:
        self._surface = find_surface(self.training_env)
        self._normaliser = self.model.get_vec_normalize_env()
        *_, self._lanes = batch_layers(self.training_env)
        if self.keys.reads and not self._tells_before and np.all(self.model._last_episode_starts):
            self._features = stack_features(self._lanes.reset_infos, self.keys.reads, "a reset")

    def _on_rollout_start(self) -> None:
        self._seen.clear()
        self._paid.clear()

    def _on_step(self) -> bool:
        if self._surface is not None:
            reward = self._surface.last_task_reward
        elif self._normaliser is not None:
            reward = self._normaliser.get_original_reward()
        else:
            reward = self.locals["rewards"]
        self._paid.append(np.array(reward, dtype=np.float64))
        values = self.keys.values(self.model._last_obs, self._features_before())
        if not self.began["width"]:
            self.keys.begin(values, self.began)
        self._seen.append(digests(self.keys.words(values, self.began)))
        return True

    @property
    def _tells_before(self) -> bool:
        """Whether the environments tell of the state before a step, as `VectorEnvBridge` does."""
        return hasattr(self._lanes, "last_step")

    def _features_before(self) -> Features:
        """The features of s_t that keys read."""
        if not self.keys.reads:
            return {}
        if self._tells_before:
            before: Features = self._lanes.last_step.features
            for name in self.keys.reads:
                if name not in before:
                    raise missing_feature(name, before, "a state")
            return before
        before, lanes = self._features, self._lanes
        infos = [
            start if done else info
            for done, start, info in zip(
                self.locals["dones"], lanes.reset_infos, self.locals["infos"], strict=True
            )
        ]
        self._features = stack_features(infos, self.keys.reads, "a step")
        return before
