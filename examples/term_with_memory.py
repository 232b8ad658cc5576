"""A term that remembers: progress is paid once, so that going back and forth earns nothing.

``init`` makes the memory, ``observe`` updates it once for every transition, and ``measure`` only reads it, so it may be called
again. Run it: python examples/term_with_memory.py
"""

from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np

import shapegym as sg
from shapegym.shaping.promises import Replay
from shapegym.shaping.testing import check_expression
from shapegym.shaping.types import Elementwise, Example, Term


@dataclass(frozen=True)
class Record(Term):
    """m_t = max(v_t - best, 0), where v is the value of ``of`` and best the largest v of the episode so far, at least 0."""

    of: Elementwise  # any expression that is known at its step; `observe` and `measure` get its value

    replay: ClassVar[Replay] = Replay.STAMP  # depends on what came before, so what was paid is kept

    @classmethod
    def examples(cls):
        return (Example(cls(sg.StateReward("features.progress"))),)

    def init(self, spec):
        return {"best": np.zeros(spec.num_lanes), "gain": np.zeros(spec.num_lanes)}

    def observe(self, t, state, value):
        before = np.where(t.first, 0.0, state["best"])
        gain = np.maximum(value - before, 0.0)
        state["gain"] = np.where(t.active, gain, 0.0)  # rows that are no transitions leave no trace
        state["best"] = np.where(t.active, before + gain, state["best"])

    def measure(self, t, state, value):
        return state["gain"].copy()


def main(steps=6):
    """Check the term as all of shapegym's are, then let a boat go back and forth."""
    reward = sg.TaskReward() + Record(sg.StateReward("features.progress")).named("record")
    check_expression(reward, "shapegym/BoatRace-v0")
    env = sg.ShapedEnv(gym.make("shapegym/BoatRace-v0"), reward)
    env.reset(seed=0)
    earned = [env.step((1, 3)[t % 2])[-1]["reward_parts"]["record"] for t in range(steps)]
    print("progress, paid once:", earned)
    return earned


if __name__ == "__main__":
    main()
