"""States that no run can have left: refused before a kernel sees them, whoever remembers what."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from stream_reference import random_stream

from shapegym.shaping import errors
from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.arrays import flatten, nest
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.groups import GroupRelative
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine, save_state
from shapegym.shaping.intrinsic.deir import EpisodicDiscriminator
from shapegym.shaping.intrinsic.e3b import EllipticalNovelty
from shapegym.shaping.intrinsic.etd import EpisodicDistance, TemporalDistance
from shapegym.shaping.intrinsic.ngu import KernelCount
from shapegym.shaping.intrinsic.re3 import NeighbourDistance
from shapegym.shaping.models.discriminator import Discriminator
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.remembered import COUNTS, GROWS, Remembers
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Milestones
from shapegym.shaping.terms.machine_potential import MachinePotential
from shapegym.shaping.terms.output import ModelOutput
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.reward_machine import Edge, RewardMachine
from shapegym.shaping.terms.team import TeamMean
from shapegym.shaping.terms.team_difference import TeamDifference
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.types import Term
from shapegym.shaping.weights.bandit import UCB1, choose_by
from shapegym.shaping.weights.multipliers import constrained
from shapegym.shaping.weights.normalize import normalize
from shapegym.shaping.weights.trust import trusted

LANES = 4
TASK = TaskReward()
MADE = Compare("obs[0]", ">", 0.5)
MACHINE = RewardMachine((Edge("start", MADE, "end", 1.0),), terminal=("end",))
ROWS = tuple((float(i), i / 2.0, 1.0) for i in range(16))


def bind(expression, **options) -> RewardEngine:
    box = gym.spaces.Box(-9, 9, (3,))
    return RewardEngine(expression, Spec(LANES, box, gym.spaces.Discrete(2), gamma=0.9), **options)


def saved(expression, **options):
    """Return a used engine and its state as leaves by path."""
    engine = bind(expression, **options)
    for step in random_stream(1, 60, LANES):
        facts = (step.terminated, step.truncated, step.first, step.active)
        success = {"success": step.terminated}
        engine.step(Transitions(step.obs, step.action, step.next_obs, step.reward, *facts, {}, success))
    state = copy.deepcopy(engine.state_dict())
    return engine, {"/".join(keys): leaf for keys, leaf in flatten(state).items()}


def altered(index, value):
    def alter(array):
        array = np.array(array)
        array[index] = value
        return array

    return alter


COUNTED = CountBonus("obs", resolution=1.0)
EPISODIC = CountBonus("obs", resolution=1.0, scope="episode")
HASHED = CountBonus("obs", hashing=SimHash(8))
GATED = (gate(Potential("obs[0]"), TASK, threshold=0.0), {"pay_at_end": True})
EPISODIC_DISTANCE = (
    EpisodicDistance(TemporalDistance(width=2, hidden=4, epochs=1, share=0.1), 5),
    {"learn_every": 50},
)
ELLIPSE = EllipticalNovelty(Sight())
KERNEL = KernelCount(Sight(), memory=200)
NEIGHBOUR = NeighbourDistance(Sight(), memory=40)
DISCRIMINATED = (
    ModelOutput(EpisodicDiscriminator(width=2, hidden=4, queue=4, memory=5, share=0.1)),
    {"learn_every": 50},
)
LEARNED = (ModelOutput(Discriminator(ROWS, hidden=4), "log_ratio"), {"learn_every": 50})

CRAFTED = [
    (Milestones((MADE, MADE)), "terms/milestones/reached", lambda a: a[:1, :1]),
    (Milestones((MADE, MADE)), "terms/milestones/reached", lambda a: np.zeros((LANES, 10**6), bool)),
    (Milestones((MADE, MADE)), "terms/milestones/paid", lambda a: a.astype(np.float32)),
    (
        COUNTED,
        "terms/count_bonus/counts",
        np.ones_like,
    ),  # no slot is empty: the search never ends
    (COUNTED, "terms/count_bonus/counts", lambda a: -a),
    (COUNTED, "terms/count_bonus/counts", lambda a: a[:-1]),
    (COUNTED, "terms/count_bonus/counts", lambda a: np.zeros(0, np.int64)),
    (COUNTED, "terms/count_bonus/keys", lambda a: a[:, :1]),
    (COUNTED, "terms/count_bonus/keys", lambda a: a[:3]),
    (COUNTED, "terms/count_bonus/size", lambda a: 0),
    (COUNTED, "terms/count_bonus/size", lambda a: -5),
    (COUNTED, "terms/count_bonus/width", lambda a: 10**12),
    (COUNTED, "terms/count_bonus/width", lambda a: 1),
    (COUNTED, "terms/count_bonus/dtype", lambda a: "O"),
    (COUNTED, "terms/count_bonus/dtype", lambda a: "V1000000000"),
    (COUNTED, "terms/count_bonus/owners", lambda a: a[:0]),
    (EPISODIC, "terms/count_bonus/owners", lambda a: a + np.uint64(1)),
    (EPISODIC, "terms/count_bonus/visits", lambda a: a * 0),
    (HASHED, "terms/count_bonus/directions", lambda a: a[:2]),
    (HASHED, "terms/count_bonus/directions", lambda a: a + 1.0),
    (normalize(COUNTED), "terms/running_scale/moments", altered(0, -1.0)),
    (normalize(COUNTED), "terms/running_scale/moments", altered(2, np.nan)),
    (TeamMean(MADE), "terms/team_mean/world", altered(0, 2**40)),
    (TeamMean(MADE), "terms/team_mean/world", altered(0, -1)),
    (TeamDifference(MADE), "terms/team_difference/world", lambda a: a + 1),
    (MACHINE, "terms/reward_machine/now", lambda a: a + 2),
    (MachinePotential(MACHINE), "terms/machine_potential/before", lambda a: a - 1),
    (Potential("obs[0]"), "terms/potential/gamma", lambda a: 0.5),
    (TASK + Constant(1.0), "terms/constant/value", lambda a: a + 1.0),
    (choose_by(UCB1(2), TASK, MADE), "terms/ucb1/arm", lambda a: 2),
    (choose_by(UCB1(2), TASK, MADE), "terms/ucb1/pulls", altered(0, np.inf)),
    (choose_by(UCB1(2), TASK, MADE), "terms/ucb1/until", lambda a: -1),
    (constrained(TASK, {MADE: 0.5}), "terms/multiplier/episodes", lambda a: -(10**20)),
    (trusted(MADE), "terms/trust/counts", altered(0, -3.0)),
    (ELLIPSE, "terms/elliptical_novelty/inverse", lambda a: a[:2]),
    (ELLIPSE, "terms/elliptical_novelty/inverse", lambda a: a[:, :, :1]),
    (ELLIPSE, "terms/elliptical_novelty/inverse", altered((0, 1, 1), -1.0)),
    (ELLIPSE, "terms/elliptical_novelty/inverse", altered((0, 1, 1), np.nan)),
    (KERNEL, "terms/kernel_count/codes", lambda a: a[:2]),
    (KERNEL, "terms/kernel_count/codes", lambda a: a[:0]),
    (KERNEL, "terms/kernel_count/codes", lambda a: a[:, :, :1]),
    (KERNEL, "terms/kernel_count/codes", lambda a: np.tile(a, (1, 1, 9))),
    (KERNEL, "terms/kernel_count/counts", lambda a: a + 10**6),
    (KERNEL, "terms/kernel_count/counts", lambda a: a - 100),
    (KERNEL, "terms/kernel_count/distances", altered((1, 0), -1.0)),
    (NEIGHBOUR, "terms/neighbour_distance/memory", lambda a: a[:, :-1]),
    (NEIGHBOUR, "terms/neighbour_distance/memory", lambda a: a[:, :0]),
    (NEIGHBOUR, "terms/neighbour_distance/latest", lambda a: a[:1]),
    (NEIGHBOUR, "terms/neighbour_distance/latest", lambda a: a[:, :1]),
    (NEIGHBOUR, "terms/neighbour_distance/latest", lambda a: np.tile(a, (3, 1))),
    (NEIGHBOUR, "terms/neighbour_distance/steps", lambda a: -1),
    (NEIGHBOUR, "terms/neighbour_distance/seed", lambda a: 1),
    (TASK, "clock", lambda a: -1),
    (TASK, "clock", lambda a: 10**200),
    (TASK, "clock", lambda a: True),
    (TASK, "clock", lambda a: 0.5),
    (TASK, "ledger/books", altered((0, 0), -7.0)),
    (TASK, "ledger/books", altered((0, 0), np.nan)),
    (TASK, "ledger/books", lambda a: a[:2]),
    (GATED, "carries/0/outcomes", lambda a: a[:, :1]),
    (GATED, "carries/0/run/tallies", altered((0, 0), np.nan)),
    (GATED, "tape/lengths", altered(0, 10**9)),
    (GATED, "tape/lengths", altered(0, -1)),
    (GATED, "tape/parts", lambda a: a[:0]),
    (GATED, "tape/parts", lambda a: a[:, :1]),
    ((GroupRelative(TASK, 2), {"pay_at_end": True}), "carries/0/run/count", altered(0, -1)),
    (EPISODIC_DISTANCE, "terms/episodic_distance/counts", lambda a: -a - 1),
    (EPISODIC_DISTANCE, "terms/episodic_distance/codes", lambda a: a[..., :4]),
    (EPISODIC_DISTANCE, "terms/episodic_distance/codes", lambda a: np.zeros((LANES, 4, 6), np.float32)),
    (EPISODIC_DISTANCE, "terms/episodic_distance/codes", lambda a: a[:, :2]),
    (EPISODIC_DISTANCE, "terms/episodic_distance/nearest", lambda a: a[:1]),
    (DISCRIMINATED, "models/episodic_discriminator/numbers/counts", lambda a: -a - 1),
    (DISCRIMINATED, "models/episodic_discriminator/numbers/codes", lambda a: a[..., :4]),
    (DISCRIMINATED, "models/episodic_discriminator/numbers/paths", lambda a: a[:1]),
    (DISCRIMINATED, "models/episodic_discriminator/numbers/queue", lambda a: a[:2]),
    (DISCRIMINATED, "models/episodic_discriminator/numbers/queued", lambda a: -1),
    (DISCRIMINATED, "models/episodic_discriminator/numbers/path", lambda a: a[:, :1]),
    (DISCRIMINATED, "experience/store/rows/said/episodic_discriminator/novelty", lambda a: a[:, :1]),
    (LEARNED, "experience/store/length", lambda a: a + 1),
    (LEARNED, "experience/store/length", lambda a: -1),
    (LEARNED, "experience/store/rows/active", lambda a: a[:, :2]),
    (LEARNED, "experience/store/rows/parts", lambda a: a[..., :0]),
    (LEARNED, "experience/store/rows/obs", lambda a: a.astype("U3")[:1]),
    (LEARNED, "experience/starts", lambda a: a + 10**6),
    (LEARNED, "experience/fitted", lambda a: 10**6),
    (LEARNED, "experience/ended", lambda a: np.array([[99, 0, 1]])),
    (LEARNED, "models/discriminator/numbers/choices", lambda a: np.array([10**12])),
    (LEARNED, "models/discriminator/modules/discriminator/0/weight", lambda a: a[:1]),
    (LEARNED, "models/discriminator/moments/0/exp_avg", lambda a: a[:1]),
    (LEARNED, "models/discriminator/stream", lambda a: a[:9]),
]


@pytest.mark.parametrize(
    ("case", "path", "alter"), CRAFTED, ids=lambda value: "altered" if callable(value) else str(value)[:40]
)
def test_crafted_states_are_refused_and_change_nothing(tmp_path, case, path, alter):
    expression, options = case if isinstance(case, tuple) else (case, {})
    engine, leaves = saved(expression, **options)
    facts = {"gamma": 0.9, "learn_every": engine.learn_every}
    leaves[path] = alter(leaves[path])
    state = nest({tuple(key.split("/")): leaf for key, leaf in leaves.items()})
    save_state(tmp_path / "crafted", {**state, **facts}, expression=expression, num_lanes=LANES)
    fresh = bind(expression, **options)
    save_engine(fresh, tmp_path / "before")
    with pytest.raises(errors.StateFileError, match="crafted"):
        load_engine(fresh, tmp_path / "crafted")
    save_engine(fresh, tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


@dataclass(frozen=True)
class Remembering(Term):
    """A term that says which of its arrays grows, and what it counts."""

    abstract: ClassVar[bool] = True
    remembers: ClassVar[Remembers] = {"table": (GROWS,), "seen": COUNTS}

    def init(self, spec):
        return {"table": np.zeros(3), "list": np.zeros(0), "seen": 0}

    def measure(self, transitions, state):
        return np.zeros(transitions.num_lanes)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"table": np.zeros(9), "list": np.zeros(5), "seen": 7}, False),
        ({"table": np.zeros((3, 3))}, True),
        ({"list": np.zeros(5, np.int8)}, True),
        ({"seen": -1}, True),
    ],
)
def test_a_term_says_what_grows_and_what_it_counts(change, refused):
    engine = bind(Remembering())
    state = engine.state_dict()
    state["terms"]["remembering"] |= change
    if refused:
        with pytest.raises(errors.StateFileError, match="remembering"):
            engine.load_state_dict(state)
    else:
        engine.load_state_dict(state)
        assert engine.states[0]["seen"] == 7
