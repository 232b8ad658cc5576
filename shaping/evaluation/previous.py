"""The action before: what selectors read as ``previous_action``, added to the features of a step before terms see it.

It is stored with a transition wherever features are, so a part that reads it can be measured again as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shapegym.shaping.states.select import Selector, derived_name, selector
from shapegym.shaping.transitions import Spec, State, Transitions

_BEFORE = "previous_"


class PreviousActions:
    """a_{t-1} of every lane, for the selectors that read it; at an episode's first step a_t itself, so that nothing has changed.

    Args:
        stems: what is read of the step (`Reader.of_step`), such as "previous_action.gripper"; others than those are passed over.
        spec: of the lanes.

    Raises:
        ObservationError: if the action has no such entry.
    """

    def __init__(self, stems: Iterable[str], spec: Spec) -> None:
        self._read = {
            stem: selector(stem.removeprefix(_BEFORE)) for stem in stems if stem.startswith(_BEFORE)
        }
        self._kept = {stem: _blank(action, spec) for stem, action in self._read.items()}

    def __bool__(self) -> bool:
        return bool(self._read)

    def add_to(self, transitions: Transitions) -> None:
        """Add the actions before to the features of transitions that just happened, and keep theirs for the next."""
        features = dict(transitions.next_features)
        for stem, action in self._read.items():
            now, kept = action.read(*transitions.after), self._kept[stem]
            features[derived_name(stem)] = np.where(transitions.first[:, None], now, kept)
            self._kept[stem] = np.where(transitions.active[:, None], now, kept)
        transitions.next_features = features

    def state_dict(self) -> State:
        """Return the latest actions."""
        return {stem: values.copy() for stem, values in self._kept.items()}

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self._kept = {stem: np.array(values) for stem, values in state.items()}


def _blank(action: Selector, spec: Spec) -> np.ndarray:
    space = action.space(spec)
    return np.zeros((spec.num_lanes, action.width(spec) or 0), dtype=None if space is None else space.dtype)
