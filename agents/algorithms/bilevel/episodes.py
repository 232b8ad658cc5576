"""Whole episodes for an off-policy inner learner: cut from rollouts lane by lane, the latest kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class Steps:
    """Consecutive steps of one lane, or of many; arrays with a leading step axis.

    Attributes:
        obs: s_t as the policy sees it, (T, ...).
        actions: a_t as the policy chose it, (T, ...).
        log_probs: ln mu(a_t | s_t) of the policy that acted, (T,).
        task: task rewards, (T,).
        parts: of the reward's terms, (T, N).
        rows: what the learned weights depend on, side by side, (T, R).
    """

    obs: np.ndarray
    actions: np.ndarray
    log_probs: np.ndarray
    task: np.ndarray
    parts: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.task)

    def lane(self, lane: int, steps: slice) -> Steps:
        """Copies of some steps of one lane, where the arrays are (T, B, ...)."""
        return Steps(*(getattr(self, item.name)[steps, lane].copy() for item in fields(self)))


def joined(pieces: Sequence[Steps]) -> Steps:
    """One piece after the other."""
    return Steps(*(np.concatenate([getattr(piece, item.name) for piece in pieces]) for item in fields(Steps)))


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """A whole episode, however it ended.

    Attributes:
        steps: of it.
        old: how many of its first steps were made before the rollout in which it ended.
    """

    steps: Steps
    old: int


def paid_alike(episodes: Sequence[StoredEpisode]) -> bool:
    """Whether the task pays all episodes the same at every step, counting 0 after their ends: then none is better than another."""
    paid = [np.trim_zeros(episode.steps.task, "b") for episode in episodes]
    return all(np.array_equal(one, paid[0]) for one in paid)


class EpisodeBuffer:
    """The latest whole episodes of all lanes.

    Args:
        capacity: episodes that are kept, at least 1.

    Attributes:
        episodes: the latest, in the order in which their rollouts and lanes came.
    """

    def __init__(self, capacity: int) -> None:
        self.episodes: deque[StoredEpisode] = deque(maxlen=capacity)
        self._open: dict[int, list[Steps]] = {}

    def cut(self, rollout: Steps, first: np.ndarray, last: np.ndarray) -> list[StoredEpisode]:
        """Return the episodes that end in a rollout, joined with what earlier rollouts hold of them; does not keep them.

        Args:
            rollout: arrays (T, B, ...).
            first: the step starts an episode, (T, B) bool.
            last: the step ends its episode, (T, B) bool.
        """
        ended = []
        for lane in range(first.shape[1]):
            open_pieces = self._open.setdefault(lane, [])
            if first[0, lane]:  # an interrupted episode that nobody will finish
                open_pieces.clear()
            start = 0
            for end in np.flatnonzero(last[:, lane]).tolist():
                piece = rollout.lane(lane, slice(start, end + 1))
                old = sum(map(len, open_pieces))
                ended.append(StoredEpisode(joined([*open_pieces, piece]), old))
                open_pieces.clear()
                start = end + 1
            if start < len(last):
                open_pieces.append(rollout.lane(lane, slice(start, len(last))))
        return ended


@dataclass(frozen=True, slots=True)
class EpisodeBatch:
    """Whole episodes as tensors, step after step, M steps in all.

    Attributes:
        obs, actions, log_probs, task, parts, rows: as in `Steps`, numbers of the reward in float64.
        place: (episode, step within it) of every step, (2, M).
        fresh: made in the rollout in which the episode ended, (M,) bool.
        features: what a linear baseline reads, (M, F) float64.
    """

    obs: torch.Tensor
    actions: torch.Tensor
    log_probs: torch.Tensor
    task: torch.Tensor
    parts: torch.Tensor
    rows: torch.Tensor
    place: torch.Tensor
    fresh: torch.Tensor
    features: torch.Tensor

    @classmethod
    def of(cls, episodes: Sequence[StoredEpisode], device: torch.device | str = "cpu") -> EpisodeBatch:
        """Put episodes, at least one, one after the other."""
        steps = joined([episode.steps for episode in episodes])
        lengths = [len(episode.steps) for episode in episodes]
        time = np.concatenate([np.arange(length) for length in lengths])
        place = np.stack([np.repeat(np.arange(len(lengths)), lengths), time])
        fresh = np.concatenate([np.arange(len(episode.steps)) >= episode.old for episode in episodes])
        arrays = (getattr(steps, item.name) for item in fields(Steps))
        features = baseline_features(steps.obs, time)
        return cls(*(torch.as_tensor(array, device=device) for array in (*arrays, place, fresh, features)))

    def select(self, steps: torch.Tensor) -> EpisodeBatch:
        """Some of the steps, by their indices, for means over steps; what depends on whole episodes is lost."""
        chosen = {name: getattr(self, name)[steps] for name in self.__slots__ if name != "place"}
        return EpisodeBatch(place=self.place[:, steps], **chosen)

    def __len__(self) -> int:
        return len(self.task)


_WIDEST = 32
"""Numbers of an observation up to which a baseline is linear in them; of larger ones (images) it sees the time only."""


def baseline_features(obs: np.ndarray, time: np.ndarray) -> np.ndarray:
    """What a linear baseline reads, (M, F): the observation, its square, three powers of the time (Duan et al. 2016, section 4).

    ``obs`` is (M, ...), ``time`` the steps since the episode began, (M,).
    """
    flat = obs.reshape(len(obs), -1).astype(np.float64)
    if flat.shape[1] > _WIDEST:
        flat = flat[:, :0]
    clock = time[:, None] / 100.0
    return np.concatenate([flat, flat**2, clock, clock**2, clock**3], axis=1)
