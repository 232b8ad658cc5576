"""From Gymnasium's vector environments to Stable-Baselines3's `VecEnv`, array by array.

`VectorEnvBridge` gives an SB3 agent a whole batch of lanes at the price of one call: what rewards need (true successors, features)
stays in arrays in `last_step`, and Python touches single lanes only where an episode ends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from shapegym.agents.errors import BridgeError
from shapegym.shaping.arrays import tree_join, tree_map, tree_take, tree_write
from shapegym.shaping.surfaces.collect import batch_success, declared_features
from shapegym.shaping.surfaces.intake import as_info, as_returned, hold_lanes, lane_rewards

_FINAL = ("final_obs", "final_info")
_OF_ONE_LANE = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


@dataclass(frozen=True, slots=True)
class LastStep:
    """The last transition of every lane. Arrays are the receiver's to keep.

    Attributes:
        next_obs: s_{t+1}, the true successor also where an episode ended, (B, ...) or a dict of such.
        terminated: (B,) bool.
        truncated: (B,) bool.
        features: of s_t, name -> (B, ...).
        next_features: of s_{t+1} and the step, name -> (B, ...).
    """

    next_obs: VecEnvObs
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    features: Mapping[str, NDArray[Any]]
    next_features: Mapping[str, NDArray[Any]]


class VectorEnvBridge(VecEnv):
    """A `gymnasium.vector.VectorEnv` as an SB3 `VecEnv`.

    The vector environment must use SAME_STEP autoreset, which is SB3's own convention. Infos are empty dicts except for lanes whose
    episode ended: these carry ``terminal_observation``, ``TimeLimit.truncated``, ``episode`` as SB3's Monitor writes it (so no
    Monitor is needed, and `env_is_wrapped` says that there is one), and ``is_success`` where the environment reports ``success`` as
    one truth value.
    Rewards stay float64.

    Args:
        env: the vector environment.

    Attributes:
        env: the vector environment.
        features: spaces of the features that the environment declares, or None.
        last_step: the last transition, None before the first.

    Raises:
        BridgeError: if the autoreset mode is another one, or the environment reuses its observation arrays (``copy=False``).
    """

    def __init__(self, env: gym.vector.VectorEnv) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise BridgeError(
                f"VectorEnvBridge needs SAME_STEP autoreset, {env} has {getattr(mode, 'name', mode)}: SB3 would learn from the "
                "rows that only reset. Create it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP (for gym.make_vec of "
                "an environment without vector entry point: vector_kwargs={'autoreset_mode': ...})."
            )
        if not getattr(env, "copy", True):
            raise BridgeError(
                f"{env} overwrites the observations that it returned (copy=False), and SB3 keeps them from step to step. Create it "
                "with copy=True."
            )
        if isinstance(env.unwrapped, SyncVectorEnv):
            hold_lanes(env.unwrapped.envs)
        self.env = env
        self.features: Mapping[str, gym.Space] | None = declared_features(env)
        self.last_step: LastStep | None = None
        self._features: dict[str, NDArray[Any]] = {}
        self._actions: Any = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.int64)
        self._quiet: list[dict[str, Any]] = [{} for _ in range(env.num_envs)]
        self._start_time = time.time()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def __repr__(self) -> str:
        return f"VectorEnvBridge({self.env!r})"

    def reset(self) -> VecEnvObs:
        """Start new episodes with the seeds of `seed`, if it was called since the last reset."""
        options = self._options[0]
        if any(other != options for other in self._options):
            raise BridgeError(
                "All lanes of a vector environment get the same reset options; pass set_options one dict."
            )
        unseeded = all(seed is None for seed in self._seeds)
        obs, info = self.env.reset(
            seed=None if unseeded else self._seeds,  # type: ignore[arg-type]  # a seed a lane
            options=options or None,
        )
        self._features = _features_in(info)
        self.last_step = None
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self._reset_seeds()
        self._reset_options()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all lanes; see the class for infos."""
        obs, reward, terminated, truncated, info = as_returned(self.env.step(self._actions), "step")
        info = as_info(info, "infos")
        reward = lane_rewards(reward, self.num_envs)
        features = _features_in(info)
        next_obs, next_features = obs, features
        dones = terminated | truncated
        infos = self._quiet.copy()
        self._returns += reward
        self._lengths += 1
        lanes = np.flatnonzero(dones)
        if len(lanes):
            next_obs = _replace_rows(obs, lanes, _final_rows(info["final_obs"], lanes))
            final = _features_in(info["final_info"])
            next_features = {
                name: _replace_rows(values, lanes, final[name][lanes]) if name in final else values
                for name, values in features.items()
            } | {name: values for name, values in final.items() if name not in features}
            self._report_ends(
                infos, lanes, LastStep(next_obs, terminated, truncated, self._features, next_features)
            )
            self._returns[lanes] = 0.0
            self._lengths[lanes] = 0
        self.last_step = LastStep(next_obs, terminated, truncated, self._features, next_features)
        self._features = features
        return obs, reward, dones, infos

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> list[np.ndarray | None]:
        """Return a picture of every lane, for SB3's recorders; None where the environment was made without a render mode."""
        frames: Any = None if self.env.render_mode is None else self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)

    # ------------------------------------------------------------------ exact state

    @property
    def can_snapshot(self) -> bool:
        """Whether the environment's exact state can be saved."""
        return hasattr(self.env, "snapshot") and hasattr(self.env, "restore")

    def snapshot(self) -> dict[str, Any]:
        """Return the exact state of all lanes and of the running episodes, as nested dicts of arrays.

        Raises:
            BridgeError: if the environment has no snapshots.
        """
        self._require_snapshots()
        return {
            "env": self.env.snapshot(),  # type: ignore[attr-defined]
            "features": {name: values.copy() for name, values in self._features.items()},
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue exactly where a snapshot was taken.

        Raises:
            BridgeError: if the environment has no snapshots.
            SnapshotError: if the snapshot is of another task or number of lanes; nothing has moved.
        """
        self._require_snapshots()
        self.env.restore(snapshot["env"])  # type: ignore[attr-defined]
        self._features = {name: values.copy() for name, values in snapshot["features"].items()}
        self._returns[:] = snapshot["returns"]
        self._lengths[:] = snapshot["lengths"]
        self.last_step = None

    # ------------------------------------------------------------------ SB3's access to single lanes

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute for each lane: its own where the environment has lanes as objects, else the common one."""
        lanes = list(self._get_indices(indices))
        per_lane = getattr(self.env, "get_attr", None)
        if per_lane is not None:
            if not self.has_attr(attr_name):
                raise AttributeError(f"The lanes of {self.env} have no attribute {attr_name!r}.")
            values = per_lane(attr_name)
            return [values[lane] for lane in lanes]
        return [self._common_attr(attr_name)] * len(lanes)

    def has_attr(self, attr_name: str) -> bool:
        """Whether every lane has an attribute. Workers that are asked for one that they lack would end, so they are asked first."""
        if isinstance(self.env.unwrapped, AsyncVectorEnv):
            return all(self.env.call("has_wrapper_attr", attr_name))  # type: ignore[attr-defined]
        try:
            getattr(self.env, "get_attr", self._common_attr)(attr_name)
        except AttributeError:
            return False
        return True

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all lanes.

        Raises:
            BridgeError: for some lanes only.
        """
        if len(set(self._get_indices(indices))) != self.num_envs:
            raise BridgeError(
                f"Lanes of a vector environment share {attr_name!r}; call set_attr without indices."
            )
        setter = getattr(self.env, "set_attr", None)
        if setter is not None:
            setter(attr_name, value)
        else:
            setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method that does not depend on the lane (``compute_reward`` for HER), once; every lane gets the result.

        Lanes in processes of their own are all asked.

        Raises:
            AttributeError: if the environment has no such method.
            BridgeError: for a method that would move lanes on behind the bridge's back.
        """
        if method_name in ("reset", "step", "close", "restore"):
            raise BridgeError(
                f"env_method({method_name!r}) would bypass the bridge; call its own {method_name}()."
            )
        lanes = list(self._get_indices(indices))
        if isinstance(self.env.unwrapped, AsyncVectorEnv):
            if not self.has_attr(method_name):
                raise AttributeError(f"The lanes of {self.env} have no method {method_name!r}.")
            results = self.env.call(method_name, *method_args, **method_kwargs)  # type: ignore[attr-defined]
            return [results[lane] for lane in lanes]
        owner = self.env.envs[0].unwrapped if hasattr(self.env, "envs") else self.env
        return [getattr(owner, method_name)(*method_args, **method_kwargs)] * len(lanes)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return True for Monitor, whose episode statistics the bridge gives, and False for all others."""
        return [issubclass(wrapper_class, Monitor)] * len(list(self._get_indices(indices)))

    # ------------------------------------------------------------------ inside

    def _common_attr(self, attr_name: str) -> Any:
        return getattr(self.env, _OF_ONE_LANE.get(attr_name, attr_name))

    def _report_ends(self, infos: list[dict[str, Any]], lanes: NDArray[np.int64], step: LastStep) -> None:
        elapsed = round(time.time() - self._start_time, 6)
        success = batch_success(step.next_features, self.num_envs)
        for lane in lanes.tolist():
            infos[lane] = {
                "terminal_observation": tree_take(step.next_obs, lane),
                "TimeLimit.truncated": bool(step.truncated[lane] and not step.terminated[lane]),
                "episode": {
                    "r": round(float(self._returns[lane]), 6),
                    "l": int(self._lengths[lane]),
                    "t": elapsed,
                },
            }
            if success is not None and success[lane] in (False, True):
                infos[lane]["is_success"] = bool(success[lane])

    def _require_snapshots(self) -> None:
        if not self.can_snapshot:
            raise BridgeError(f"{self.env} has no snapshot() and restore(): its exact state cannot be kept.")


def _features_in(info: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {
        name: values
        for name, values in info.items()
        if not name.startswith("_") and name not in _FINAL and isinstance(values, np.ndarray)
    }


def _final_rows(final: Any, lanes: NDArray[np.int64]) -> Any:
    """What ended lanes ended with, (n, ...): from dense arrays, or from an object array of single observations."""
    rows = tree_take(final, lanes)
    return tree_join(np.stack, rows) if getattr(rows, "dtype", None) == np.object_ else rows


def _replace_rows(batch: Any, lanes: NDArray[np.int64], rows: Any) -> Any:
    replaced = tree_map(np.copy, batch)
    tree_write(replaced, lanes, rows)
    return replaced
