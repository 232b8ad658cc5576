"""What of a model's memory another run can begin with: all but what belongs to the open episodes of its lanes."""

from __future__ import annotations

from shapegym.shaping.arrays import flatten, nest
from shapegym.shaping.transitions import State
from shapegym.shaping.types import Memory, Model


def hand_over(model: Model, learned: State, memory: Memory) -> None:
    """Let a fresh ``memory`` of ``model`` go on from the state of another, of however many lanes.

    Raises:
        Exception: if the state is of another form, as of other spaces.
    """
    fresh, found = flatten(memory.state_dict()), flatten(learned)
    episodes = {keys: leaf for keys, leaf in fresh.items() if "/".join(keys) in model.per_lane}
    memory.load_state_dict(nest({**found, **episodes}))
