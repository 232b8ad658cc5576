"""The vector surface: many environments stepped together, in each of Gymnasium's three autoreset modes.

What the modes mean for a reward is decided here and nowhere else:

* NEXT_STEP: the step after an episode's end only resets that lane. It is no transition (``active=False``) and pays 0.
* SAME_STEP: an episode's last step returns the next episode's first observation; the true successor is in ``final_obs`` and its
  features in ``final_info``.
* DISABLED: ended lanes are reset by ``reset(options={"reset_mask": mask})``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper

from shapegym.shaping.arrays import tree_join, tree_map
from shapegym.shaping.errors import ObservationError, WiringError
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.surfaces.binding import Binding, BindingOptions
from shapegym.shaping.surfaces.collect import (
    batch_success,
    choose,
    declared_features,
    find_path,
    missing_feature,
)
from shapegym.shaping.surfaces.intake import (
    as_batch_feature,
    as_info,
    as_returned,
    hold_lanes,
    lane_flags,
    lane_rewards,
    write_lanes,
)
from shapegym.shaping.types import Expression


class ShapedVectorEnv(Binding, VectorWrapper):
    """Pays the shaped rewards of an expression instead of the task's; the task's own stay in the infos.

    Infos get ``task_reward`` (B,), ``shaped_reward`` (B,) and ``reward_parts`` (name -> (B,), what each addend paid), and, when
    episodes end, ``shaping_episode``: a dict of (B,) arrays (``task_return``, ``shaped_return``, ``length``, ``success`` and,
    by name, ``parts``) whose rows hold where ``_shaping_episode`` does, and success where ``_success`` inside of it does too. Every
    key has Gymnasium's mask ``_key``. An episode that is reset before its end has it in the infos of that reset.

    Args:
        envs: the vector environment, in any autoreset mode.
        expression: the reward.
        options: see `BindingOptions`.

    Attributes:
        autoreset_mode: the mode of ``envs``.

    Raises:
        WiringError: if ``envs`` does not say how it resets.
        ShapingError: if the expression cannot be bound to these environments.
    """

    def __init__(self, envs: VectorEnv, expression: Expression, **options: Unpack[BindingOptions]) -> None:
        super().__init__(envs)
        self.autoreset_mode = _autoreset_mode(envs)
        spaces = envs.single_observation_space, envs.single_action_space
        self._bind(expression, options, envs.num_envs, *spaces, declared_features(envs))
        if isinstance(envs.unwrapped, SyncVectorEnv):
            hold_lanes(envs.unwrapped.envs)
        self._all = np.ones(envs.num_envs, dtype=bool)
        self._ended = np.zeros(envs.num_envs, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes in all lanes, or in those of ``options["reset_mask"]``."""
        mask = (options or {}).get("reset_mask")
        lanes = self._all if mask is None else np.array(mask, dtype=bool)
        if not lanes.all():
            self._require_reset()
        obs, infos = as_returned(self.env.reset(seed=seed, options=options), "reset")
        infos = as_info(infos, "infos")
        if self._started:
            infos = self._with_records(infos, self._abandon(lanes & ~self._ended))
        self._begin(obs, infos, lanes)
        self._ended = self._ended & ~lanes
        self._started = True
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every lane by one step."""
        self._require_reset()
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeeded(
                f"Lanes {np.flatnonzero(self._ended).tolist()} have ended, and this environment resets none by itself: "
                "reset(options={'reset_mask': terminated | truncated})."
            )
        transitions = self._collector.transitions
        write_lanes(transitions.action, actions, what="action")
        self._started = False
        obs, rewards, terminated, truncated, infos = as_returned(self.env.step(actions), "step")
        infos = as_info(infos, "infos")
        transitions.reward = task = lane_rewards(rewards, self.num_envs)
        transitions.terminated = lane_flags(terminated, self.num_envs, "terminated")
        transitions.truncated = lane_flags(truncated, self.num_envs, "truncated")
        ended = transitions.terminated | transitions.truncated
        replaced = None
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            np.logical_not(self._ended, out=transitions.active)
        elif self.autoreset_mode is AutoresetMode.SAME_STEP and ended.any():
            replaced = ended
        self._collector.advance(self._next_features(infos, transitions.active, replaced))
        write_lanes(transitions.next_obs, obs)
        if replaced is not None:
            write_lanes(transitions.next_obs, _final_obs(infos), replaced)
        shaped, contributions, records = self.engine.step(transitions)
        # After the reset row of NEXT_STEP comes an episode's first step.
        np.logical_not(transitions.active, out=transitions.first)
        if replaced is not None:
            self._begin(obs, infos, replaced)
        self._ended = ended if replaced is None else np.zeros_like(ended)
        self._started = True
        infos = self._paid_info(infos, task, shaped.copy(), contributions.copy())
        return obs, shaped, terminated, truncated, self._with_records(infos, records)

    def _told(
        self, info: Mapping[str, Any], said: Mapping[str, Any], lanes: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Return infos with what is ``said`` and Gymnasium's mask of the ``lanes`` (B,) that it holds for, all if not given."""
        added = super()._told({}, said)
        mask = (self._all if lanes is None else lanes).copy()
        return {**info, **added, **{f"_{key}": mask for key in added}}

    def _with_records(self, infos: Mapping[str, Any], records: list[EpisodeRecord]) -> dict[str, Any]:
        """Return ``infos`` with finished episodes, every array (B,) as Gymnasium lays out nested infos."""
        if not records:
            return dict(infos)
        lanes = np.array([record.lane for record in records])
        known = [record.success is not None for record in records]
        rows = [{**record.as_info(), "success": bool(record.success)} for record in records]
        columns = {**tree_join(np.array, rows), "_success": np.array(known)}
        spread = tree_map(lambda column: self._spread(column, lanes), columns)
        return self._told(infos, {"shaping_episode": spread}, np.isin(np.arange(self.num_envs), lanes))

    def _begin(self, obs: Any, infos: Mapping[str, Any], lanes: np.ndarray) -> None:
        features = {name: _pick(infos, name, lanes, "reset") for name in self._collector.names_before}
        self._collector.begin(obs, features, lanes)

    def _next_features(
        self, infos: Mapping[str, Any], active: np.ndarray, replaced: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Features of the true successors: in the ``replaced`` lanes those of ``final_info``."""
        before = self._collector.names_before
        features = {}
        if replaced is None:
            last = infos
            for name in self._collector.names:
                features[name] = _pick(infos, name, self._all if name in before else active, "a step")
        else:
            last = as_info(infos.get("final_info"), "final_info")
            for name in self._collector.names:
                features[name] = _pick(last, name, replaced, "an episode's last step (final_info)")
                if not replaced.all():
                    features[name] = choose(features[name], _pick(infos, name, ~replaced, "a step"), replaced)
        if "success" not in features and (success := batch_success(last, self.num_envs)) is not None:
            features["success"] = success
        return features

    def _spread(self, column: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """Lay the values of some lanes out as an array (B,); rows of other lanes are zero."""
        rows = np.zeros(self.num_envs, dtype=column.dtype)
        rows[lanes] = column
        return rows


def _autoreset_mode(envs: VectorEnv) -> AutoresetMode:
    mode = envs.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise WiringError(
            f"{envs} does not say how its lanes reset: metadata['autoreset_mode'] is {mode!r}. Rewards depend on it, so set it to "
            f"one of {', '.join(f'AutoresetMode.{known.name}' for known in AutoresetMode)}."
        ) from None


def _final_obs(infos: Mapping[str, Any]) -> Any:
    if "final_obs" not in infos:
        raise ObservationError(
            "Episodes ended, but the infos have no 'final_obs', so the states they ended in are unknown. A vector environment with "
            "SAME_STEP autoreset must put them there."
        )
    return infos["final_obs"]


def _pick(infos: Mapping[str, Any], name: str, lanes: np.ndarray, when: str) -> np.ndarray:
    """Return feature ``name`` of all lanes, (B, ...), after checking that the lanes of the mask have it."""
    path, place = find_path(name, infos, when), infos
    for key in path:
        present = place.get(f"_{key}")
        if present is not None and (lanes > np.asarray(present)).any():
            raise missing_feature(name, infos, when)
        place = place[key]
    return as_batch_feature(place, lanes, name)
