"""What an environment gives, held to what its spaces promise: the same typed error on every surface.

Rows are allocated by the spaces, so their shapes and dtypes say what was promised. Values may be whatever NumPy reads as such an
array (lists, tensors), in a dtype that the promised one can hold; nothing is broadcast, and nothing rounded silently. Members that
are no arrays of numbers (texts, graphs, sequences) are copied whole, because environments may change them in place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn

import gymnasium as gym
import numpy as np

from shapegym.shaping.arrays import allocate
from shapegym.shaping.errors import ObservationError, WiringError
from shapegym.texts import Text

SHAPED_TWICE = (
    "The environment is shaped already by {}: its rewards would be shaped twice. Shape the plain environment, with one expression "
    "for all (their sum)."
)

_RETURNED = {"reset": ("obs", "info"), "step": ("obs", "reward", "terminated", "truncated", "info")}

_NUMBERS = "biuf"
"""Kinds of dtypes whose values are real numbers."""

_FEATURES = _NUMBERS + "US"
"""Kinds of dtypes that features may have: terms read numbers, and functions of a user's own may read texts."""


def write_lane(rows: Any, lane: int, member: Any, what: str = "observation") -> None:
    """``rows[lane] = member`` for one member of a space.

    Args:
        rows: an array (B, ...), or a dict or tuple of such, as `shapegym.shaping.arrays.allocate` makes it.
        lane: which row.
        member: what the environment gave.
        what: what it is called in errors.

    Raises:
        ObservationError: if it has not the structure, shape or dtype of ``rows``; says what came and what was promised.
    """
    if isinstance(rows, np.ndarray):
        if rows.dtype.hasobject:
            rows[lane] = copy.deepcopy(member)
            return
        value = as_array(member)
        if value.shape != rows.shape[1:] or value.dtype != rows.dtype:
            value = _fitted(value, rows.shape[1:], rows.dtype, what, f"lane {lane}")
        rows[lane] = value
    else:
        for key in _entries(rows, member, what):
            write_lane(rows[key], lane, member[key], f"{what}[{key!r}]")


def write_lanes(rows: Any, values: Any, lanes: np.ndarray | None = None, what: str = "observation") -> None:
    """``rows[lanes] = values[lanes]`` for a batch of members, all of them by default.

    ``values`` is a batch as Gymnasium lays it out, or an object array or tuple with one member a lane (its ``final_obs``, and
    batches of spaces that are not made of numbers). Raises as `write_lane`.
    """
    if _is_one_a_lane(rows, values):
        if len(values) != (count := _count(rows)):
            raise ObservationError(f"The batch of {what}s has {len(values)} members for {count} lanes.")
        for lane in range(count) if lanes is None else np.flatnonzero(lanes).tolist():
            write_lane(rows, lane, values[lane], what)
    elif not isinstance(rows, np.ndarray):
        for key in _entries(rows, values, what):
            write_lanes(rows[key], values[key], lanes, f"{what}[{key!r}]")
    else:
        value = as_array(values)
        if value.shape != rows.shape or value.dtype != rows.dtype:
            value = _fitted(value, rows.shape, rows.dtype, what, f"{len(rows)} lanes")
        if lanes is None:
            rows[...] = value
        else:
            rows[lanes] = value[lanes]


def one_reward(value: Any) -> float:
    """Return what one lane is paid.

    Raises:
        ObservationError: if it is not one real number; says what came.
    """
    if type(value) is float:
        return value
    array = as_array(value)
    if array.ndim or array.dtype.kind not in _NUMBERS:
        _refuse_reward(array, "a reward is one number a step")
    return float(array)


def lane_rewards(values: Any, num_lanes: int) -> np.ndarray:
    """Return what every lane is paid, a new array (B,) float64; raises as `one_reward`."""
    array = as_array(values)
    if array.shape != (num_lanes,) or array.dtype.kind not in _NUMBERS:
        _refuse_reward(array, f"rewards are one number a lane, shape ({num_lanes},)")
    return array.astype(np.float64)


def one_flag(value: Any, name: str) -> bool:
    """Return ``terminated`` or ``truncated`` of one lane; raises `ObservationError` if it is no truth value."""
    if type(value) is bool:
        return value
    return bool(_flags(value, (), name))


def lane_flags(values: Any, num_lanes: int, name: str) -> np.ndarray:
    """Return ``terminated`` or ``truncated`` of every lane, (B,) bool; raises as `one_flag`."""
    return _flags(values, (num_lanes,), name).astype(bool, copy=False)


def as_returned(values: Any, method: Literal["reset", "step"]) -> Any:
    """Return what ``reset`` or ``step`` returned; raises `ObservationError` if it is not as many values as the API has."""
    parts = _RETURNED[method]
    if type(values) is tuple and len(values) == len(parts):
        return values
    if isinstance(values, (tuple, list)) and len(values) == len(parts):
        return tuple(values)
    came = f"{len(values)} values" if isinstance(values, (tuple, list)) else described(values)
    raise ObservationError(
        f"The environment's {method}() returned {came}; in Gymnasium and PettingZoo it is {', '.join(parts)}. Environments of "
        "the old gym need an adapter (the package shimmy has one)."
    )


def as_info(info: Any, name: str = "info") -> Mapping[str, Any]:
    """Return an info, or an empty one for None.

    Raises:
        ObservationError: if it is no mapping.
        WiringError: if it is of an environment that is shaped already, which in another process only its infos tell.
    """
    if info is None:
        return {}
    if type(info) is not dict and not isinstance(info, Mapping):
        raise ObservationError(
            f"The environment's {name} is {described(info)}; it must be a dict with what the environment says by name."
        )
    if "shaped_reward" in info and any(str(key).startswith("reward_parts") for key in info):
        raise WiringError(SHAPED_TWICE.format("an environment inside (its infos have 'shaped_reward')"))
    return info


def as_feature(value: Any, name: str) -> np.ndarray:
    """Return a value of an info as an array of numbers or texts.

    Raises:
        ObservationError: if it is none; says what it is.
    """
    array = as_array(value)
    if array.dtype.kind not in _FEATURES:
        raise ObservationError(
            f"The feature {name!r} is {described(value)}; a feature is a number or an array of numbers, always of one shape. Name "
            "the entry of a dict, and pad what has rows of different lengths."
        )
    return array


def as_batch_feature(values: Any, lanes: np.ndarray, name: str) -> np.ndarray:
    """Return what the lanes of a (B,) mask say as an array (B, ...), zero elsewhere; Gymnasium keeps some in arrays of objects.

    Raises:
        ObservationError: as `as_feature`; or if they say it in different shapes.
    """
    array = as_array(values)
    if array.dtype != object or array.shape[:1] != lanes.shape:
        return as_feature(array, name)
    said = [as_feature(array[lane], name) for lane in np.flatnonzero(lanes).tolist()]
    if not said:
        return np.zeros(len(lanes))
    require_one_shape(said, name)
    rows = np.zeros((len(lanes), *said[0].shape), dtype=np.result_type(*said))
    rows[lanes] = said
    return rows


def require_one_shape(given: Sequence[np.ndarray], name: str) -> None:
    """Raise `ObservationError` if lanes say a feature in different shapes."""
    if any(values.shape != given[0].shape for values in given):
        shapes = ", ".join(sorted({str(values.shape) for values in given}))
        raise ObservationError(
            f"The feature {name!r} has different shapes in different lanes: {shapes}. Pad it to one."
        )


class HeldLane:
    """A lane's ``step`` or ``reset`` that is checked before a batch of lanes (`SyncVectorEnv`, `DummyVecEnv`) takes it in.

    Batches assign to arrays, and NumPy would broadcast a number, read a text as one, and make NaN of None.

    Attributes:
        returned: what the lane returned last, which is another object after every call, whoever made it.
    """

    def __init__(self, method: Callable[..., Any], name: Literal["reset", "step"], space: gym.Space) -> None:
        self._method, self._name = method, name
        self._rows = allocate(space, 1)
        plain = isinstance(self._rows, np.ndarray)
        self._promised = (self._rows.shape[1:], self._rows.dtype) if plain else None
        self.returned: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the lane returned; raises `ObservationError` if it is not what its space promises."""
        returned = self.returned = as_returned(self._method(*args, **kwargs), self._name)
        obs = returned[0]
        if type(obs) is not np.ndarray or (obs.shape, obs.dtype) != self._promised:
            write_lane(self._rows, 0, obs)
        if self._name == "step":
            _, reward, terminated, truncated, _ = returned
            if type(reward) is not float:
                one_reward(reward)
            if type(terminated) is not bool or type(truncated) is not bool:
                one_flag(terminated, "terminated")
                one_flag(truncated, "truncated")
        return returned


def hold_lanes(envs: Sequence[Any]) -> list[HeldLane]:
    """Let environments of this process be checked before what holds them batches their answers; return what checks them."""
    held = []
    for env in envs:
        for name in ("reset", "step"):
            if not isinstance(getattr(env, name), HeldLane):
                setattr(env, name, HeldLane(getattr(env, name), name, env.observation_space))
            held.append(getattr(env, name))
    return held


def as_array(value: Any) -> np.ndarray:
    """Return what NumPy makes of a value; what it cannot read stays an object."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, Text):
        return value.row
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # ragged, or a tensor with a gradient or on another device
        if hasattr(value, "detach"):
            return np.asarray(value.detach().cpu())
        array = np.empty((), dtype=object)
        array[()] = value
        return array


def _fitted(value: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, what: str, where: str) -> np.ndarray:
    """Return ``value`` in the promised dtype, or raise."""
    if value.shape == shape and value.dtype.kind in _NUMBERS:
        if np.can_cast(value.dtype, dtype, "same_kind"):
            return value.astype(dtype)
        with np.errstate(invalid="ignore"):
            held = value.astype(dtype)
        if np.array_equal(held, value):
            return held
        came = f"{value.dtype} with values that {dtype} cannot hold"
    elif value.dtype.kind not in _NUMBERS:
        came = described(value)
    else:
        came = f"of shape {value.shape} and dtype {value.dtype}"
    raise ObservationError(
        f"The {what} of {where} is {came}; the space promises shape {shape} and dtype {dtype}. Correct the space, or what "
        f"{'acts' if what.startswith('action') else 'the environment returns'} (for observations "
        "gymnasium.wrappers.TransformObservation does both)."
    )


def _entries(rows: Any, member: Any, what: str) -> Any:
    """Return the keys of a Dict or Tuple space, after checking that ``member`` has them."""
    if isinstance(rows, dict):
        if not isinstance(member, Mapping):
            raise ObservationError(
                f"The {what} is {described(member)}; the space promises a dict with {', '.join(map(repr, rows))}."
            )
        if missing := [key for key in rows if key not in member]:
            raise ObservationError(
                f"The {what} lacks {', '.join(map(repr, missing))}, which the space promises; it has "
                f"{', '.join(map(repr, member)) or 'nothing'}."
            )
        return rows
    if not isinstance(member, (tuple, list, np.ndarray)) or len(member) != len(rows):
        raise ObservationError(
            f"The {what} is {described(member)}; the space promises a tuple of {len(rows)}."
        )
    return range(len(rows))


def _is_one_a_lane(rows: Any, values: Any) -> bool:
    whole = isinstance(rows, np.ndarray) and rows.dtype == object
    if isinstance(values, np.ndarray):
        return values.ndim > 0 and (whole or values.dtype == object)
    return whole and isinstance(values, (tuple, list))


def _count(rows: Any) -> int:
    while not isinstance(rows, np.ndarray):
        rows = next(iter(rows.values() if isinstance(rows, dict) else rows))
    return len(rows)


def _flags(values: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    array = as_array(values)
    if array.shape != shape or not (array.dtype == bool or _all_zero_or_one(array)):
        came = described(array) if array.shape == shape else f"of shape {array.shape}"
        raise ObservationError(
            f"The environment's {name!r} is {came}; it must be True or False, shape {shape}."
        )
    return array


def _all_zero_or_one(array: np.ndarray) -> bool:
    return array.dtype.kind in _NUMBERS and bool(((array == 0) | (array == 1)).all())


def _refuse_reward(array: np.ndarray, promised: str) -> NoReturn:
    numbers = array.dtype.kind in _NUMBERS
    came = f"an array of shape {array.shape}" if numbers else described(array)
    advice = (
        "Pay one number (gymnasium.wrappers.TransformReward), and give the components in the info, where terms can read and weigh "
        "them."
        if numbers
        else "Convert it in the environment or with gymnasium.wrappers.TransformReward."
    )
    raise ObservationError(f"The environment paid {came}; {promised}. {advice}")


def described(value: Any) -> str:
    """What came, in words that fit a line."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 0:
        value = value.item()
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return f"{value!r:.60} ({type(value).__name__})" if value is not None else "None"
