"""What shaped rollout and replay buffers share: they take the place of SB3's, and read from one `MeasuringVecEnv`."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from stable_baselines3.common.buffers import BaseBuffer

from shapegym.shaping.errors import WiringError
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv


class HindsightBuffer:
    """Mixin in front of one of SB3's buffer classes; deriving a class from both registers it for `shapegym.wire`.

    ::

        class ShapedMyBuffer(HindsightRollout, MyRolloutBuffer):
            "..."
    """

    registry: ClassVar[dict[type[BaseBuffer], type[HindsightBuffer]]] = {}
    """Shaped classes by the class of SB3 that they take the place of; one that was loaded takes its own."""

    _source: MeasuringVecEnv | None

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
        self._source = source

    @property
    def source(self) -> MeasuringVecEnv:
        """The environment that measures.

        Raises:
            WiringError: if the buffer was loaded and not wired.
        """
        if self._source is None:
            raise WiringError(
                "This shaped buffer was loaded from a file, which holds no reward expression. Load it into a model that is not "
                "wired yet (model.load_replay_buffer(path)), then call shapegym.wire(model, expression)."
            )
        return self._source

    @property
    def is_attached(self) -> bool:
        """Whether the buffer has a source."""
        return self._source is not None


def require_task_reward(stored: np.ndarray, measured: np.ndarray) -> None:
    """Check that nothing changed the reward between the environment that measures and the buffer.

    Raises:
        WiringError: if something did.
    """
    if not np.array_equal(stored.astype(np.float32), measured.astype(np.float32), equal_nan=True):
        raise WiringError(
            "The reward that reached the buffer is not the task reward that was measured: a VecEnv wrapper between them, or a "
            "callback that edits self.locals['rewards'], changed it. Make the change a term of the expression, or a wrapper of the "
            "environments themselves, so that it is measured and booked."
        )
