"""What shaped rollout and replay buffers share: they take the place of SB3's, and read from one `MeasuringVecEnv`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from stable_baselines3.common.buffers import BaseBuffer
from stable_baselines3.common.noise import ActionNoise
from typing_extensions import override

from shapegym.shaping.errors import NonFiniteError, WiringError
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv

NOT_WIRED = (
    "This model learned from a shaped reward, and its buffer has none: what Stable-Baselines3 saves and copies (Algorithm.load, "
    "load_replay_buffer, pickle) holds no reward. Call shapegym.wire(model, expression) on the model with a plain environment, "
    "after load_replay_buffer if there is one, and load_engine for what the terms remember. To train on the task reward alone, "
    "Algorithm.load(..., custom_objects={'rollout_buffer_class': None}); off-policy it is 'replay_buffer_class', for RecurrentPPO "
    "'action_noise'."
)


class HindsightBuffer:
    """Mixin in front of one of SB3's buffer classes; deriving a class from both registers it for `shapegym.wire`.

    ::

        class ShapedMyBuffer(HindsightRollout, MyRolloutBuffer):
            "..."
    """

    registry: ClassVar[dict[type[BaseBuffer], type[HindsightBuffer]]] = {}
    """Shaped classes by the class of SB3 that they take the place of; one that was loaded takes its own."""

    _source: MeasuringVecEnv | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in (cls, *cls.__bases__):
            if issubclass(base, BaseBuffer):
                HindsightBuffer.registry[base] = cls

    @classmethod
    def in_place_of(cls, buffer: BaseBuffer, source: MeasuringVecEnv, *, keep_observations: bool) -> Self:
        """Return a shaped buffer with the arrays and settings of ``buffer``, which must hold nothing and be used no more.

        Args:
            buffer: an instance of the class that this one derives from.
            source: the environment that measures what the buffer stores.
            keep_observations: the buffer gets other observations than ``source`` gives (stacked, transposed, normalised
                and back), so if transitions are measured again it must keep the original ones too.
        """
        shaped = cls.__new__(cls)
        shaped.__dict__.update(buffer.__dict__)
        shaped.allocate(source, keep_observations)
        return shaped

    def allocate(self, source: MeasuringVecEnv, keep_observations: bool) -> None:
        """Make room for what SB3's buffer does not keep, and read from ``source``.

        Raises:
            ShapingError: if this buffer cannot pay the expression that ``source`` measures.
        """
        del keep_observations
        self._attach(source)

    def _attach(self, source: MeasuringVecEnv) -> None:
        self._source = source
        source.begin()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the environment."""
        parent: Any = super()
        state = dict(parent.__getstate__())
        state["_source"] = None
        return state

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """With a copy of the environment, unlike pickle: the copy of a model goes on as the model does."""
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        vars(copied).update(deepcopy(vars(self), memo))
        return copied

    @property
    def source(self) -> MeasuringVecEnv:
        """The environment that measures.

        Raises:
            WiringError: if the buffer was loaded and not wired.
        """
        if self._source is None:
            raise WiringError(NOT_WIRED)
        return self._source

    @property
    def is_attached(self) -> bool:
        """Whether the buffer has a source."""
        return self._source is not None


class WiredHere(ActionNoise):
    """Stands where a model without action noise would have it, which SB3 resets before it learns: a loaded model refuses."""

    def __init__(self, here: bool = True) -> None:
        super().__init__()
        self._here = here

    def __reduce__(self) -> Any:
        return type(self), (False,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __call__(self) -> np.ndarray:
        """Return no noise; nobody asks."""
        return np.zeros(())

    @override
    def reset(self) -> None:
        """Raise `WiringError` in a model that was loaded, unless it was wired again."""
        if not self._here:
            raise WiringError(NOT_WIRED)


def require_task_reward(stored: np.ndarray, measured: np.ndarray) -> None:
    """Check that nothing changed the reward between the environment that measures and the buffer.

    Raises:
        WiringError: if something did.
    """
    with np.errstate(over="ignore"):
        same = np.array_equal(stored.astype(np.float32), measured.astype(np.float32), equal_nan=True)
    if not same:
        raise WiringError(
            "The reward that reached the buffer is not the task reward that was measured: a VecEnv wrapper between them, or a "
            "callback that edits self.locals['rewards'], changed it. Make the change a term of the expression, or a wrapper of the "
            "environments themselves, so that it is measured and booked."
        )


def as_stored(shaped: np.ndarray) -> np.ndarray:
    """Return shaped rewards as the algorithms learn from them, float32.

    Raises:
        NonFiniteError: if one is too large for that.
    """
    with np.errstate(over="ignore"):
        stored = shaped.astype(np.float32)
    if not np.isfinite(stored).all():
        worst = shaped.flat[np.argmax(~np.isfinite(stored))]
        raise NonFiniteError(
            f"The shaped reward {worst:g} does not fit into the float32 that Stable-Baselines3 learns from. Bound it: clip(...), "
            "sign(...) or normalize(...)."
        )
    return stored
