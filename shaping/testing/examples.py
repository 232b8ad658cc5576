"""An example of every node, for the suites that run over all nodes."""

from __future__ import annotations

from dataclasses import dataclass

from shapegym.shaping.algebra import Clip, Constant, Product, Scale, Sum, TaskReward
from shapegym.shaping.combinators.advice import ActionPotential, LookAhead
from shapegym.shaping.combinators.bounds import Delta
from shapegym.shaping.combinators.elementwise import GeometricMean, LogSigmoidAnd, Sign, When
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.combinators.groups import GroupRelative
from shapegym.shaping.combinators.means import HarmonicMean
from shapegym.shaping.combinators.renorm import Renorm
from shapegym.shaping.terms.counts import CountBonus, SimHash
from shapegym.shaping.terms.distance import Distance, ExponentialKernel, Gaussian, Tiered
from shapegym.shaping.terms.events import Compare, Event, Milestones
from shapegym.shaping.terms.goals import GoalReached, StateReward
from shapegym.shaping.terms.occupancy import OccupancyPenalty
from shapegym.shaping.terms.potential import DynamicPotential, Potential
from shapegym.shaping.terms.states import Read, Table
from shapegym.shaping.testing.scripted import ObservationKind
from shapegym.shaping.types import Expression
from shapegym.shaping.weights.bandit import EXP3, UCB1, Choose
from shapegym.shaping.weights.blend import LearnedWeight
from shapegym.shaping.weights.multipliers import Multiplier, constrained
from shapegym.shaping.weights.normalize import RunningMean, RunningScale
from shapegym.shaping.weights.schedules import Cosine, Exponential, Linear, OnPlateau, Piecewise
from shapegym.shaping.weights.trust import Trust

GAMMA = 0.9
"""The discount of every example, for agents that train on one."""


@dataclass(frozen=True)
class Example:
    """An expression and the kind of observation of the `ScriptedEnv` on which it can be measured."""

    expression: Expression
    observation: ObservationKind = "box"


_TASK = TaskReward()
_PROGRESS = Potential("features.progress", gamma=GAMMA)
_EVENT = Event("features.event", 0.5, equals=2)
_TO_GOAL = Distance("features.agent_pos", "features.goal_pos", "l1")
_VISITED = tuple((step % 5 / 2 - 1, step % 3 / 2 - 0.5, step % 4 / 4) for step in range(16))
_SEVENTHS = Table((0.0, 0.5, -1.0, 2.0, 0.25, 1.5, -0.5))

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "action_potential": (
        Example(ActionPotential((Read("obs[0]"), Read("obs[1]"), Read("features.progress")))),
    ),
    "choose": (
        Example(Choose(UCB1(3, period=6, low=-2.0, high=3.0), (_TASK, _TASK + _PROGRESS, _TASK + _EVENT))),
    ),
    "clip": (Example(Clip(_TASK + 3.0 * _PROGRESS, -0.5, 0.75)),),
    "compare": (
        Example(Compare("features.progress", ">", 0.5)),
        Example(Compare("features.agent_pos[0]", "==", "features.goal_pos[0]")),
        Example(Compare("obs", "<=", 3), "discrete"),
    ),
    "constant": (Example(Constant(-0.01)),),
    "cosine": (Example(Cosine(1.0, 0.1, 40, delay=5)),),
    "count_bonus": (
        Example(CountBonus("features.agent_pos")),
        Example(CountBonus("obs", scope="episode", exponent=3.0), "discrete"),
        Example(CountBonus("obs", resolution=0.5, beta=0.2)),
        Example(CountBonus("obs.observation", hashing=SimHash(bits=6)), "dict"),
    ),
    "delta": (Example(_TASK + Delta(_EVENT)),),
    "dynamic_potential": (Example(DynamicPotential("features.progress", Linear(1.0, 0.0, 60), gamma=GAMMA)),),
    "event": (
        Example(_EVENT),
        Example(Event("features.success", trigger="rise")),
        Example(Event("obs", 0.1, trigger="change"), "discrete"),
    ),
    "exp3": (
        Example(EXP3(2, period=4, low=-2.0, high=3.0)),
        Example(EXP3(3, period=9, metric="success", mixing=0.5)),
    ),
    "exponential": (Example(Exponential(1.0, 0.1, 20.0)),),
    "gate": (
        Example(Gate((_TASK, _PROGRESS), (0.5,))),
        Example(Gate((_TASK, _EVENT, _PROGRESS), (0.0, 0.5), strict=True, outcome="last")),
        Example(Gate((_TASK, _PROGRESS), (Linear(-1.0, 1.0, 40),), fragments="bootstrapped")),
        Example(Gate((_TASK, _EVENT), (0.0,), per="turn", turn=_EVENT, fragments="closed")),
        Example(Gate((_TASK, _PROGRESS), (0.5,), per="step")),
    ),
    "geometric_mean": (Example(GeometricMean((_EVENT + 0.1, _PROGRESS))),),
    "goal_reached": (Example(GoalReached(radius=0.5), "dict"),),
    "learned_weight": (
        Example(_EVENT * LearnedWeight("event", 0.5)),
        Example(LearnedWeight("cell", 0.5, "table", "features.agent_pos[0]", 5)),
        Example(_TASK * LearnedWeight("task", 0.5, "network", "obs", 3)),
    ),
    "group_relative": (
        Example(GroupRelative(Gate((_TASK, _PROGRESS), (0.5,)), 3)),
        Example(GroupRelative(_TASK, 2, "leave_one_out")),
    ),
    "harmonic_mean": (Example(HarmonicMean((_EVENT + 0.1, _PROGRESS + 1.0, _TASK), (1.0, 2.0, 0.5))),),
    "linear": (Example(Linear(1.0, 0.0, 30, delay=4)),),
    "log_sigmoid_and": (Example(LogSigmoidAnd((_TASK, _PROGRESS), (0.5, 0.0))),),
    "look_ahead": (
        Example(LookAhead(ActionPotential((Read("obs[0]"), Read("obs[1]"), Read("obs[2]"))), GAMMA)),
    ),
    "milestones": (
        Example(Milestones((_EVENT, Event("features.event", 0.25, equals=1)), ordered=True)),
        Example(Milestones((_EVENT, Compare("features.progress", ">=", 0.75)))),
    ),
    "multiplier": (
        Example(Multiplier(_EVENT, 0.5, every=3)),
        Example(Multiplier(_PROGRESS, 0.1, "equal", over="step", every=2, start=0.5)),
        Example(constrained(_TASK, {_EVENT: 0.75, _PROGRESS: 0.0}, "at_least", every=2)),
    ),
    "occupancy_penalty": (
        Example(OccupancyPenalty(_VISITED, hidden=8)),
        Example(
            _TASK + 0.1 * OccupancyPenalty(_VISITED, ("obs.observation",), divergence="kl", hidden=8), "dict"
        ),
        Example(
            OccupancyPenalty(
                _VISITED, ("features.agent_pos", "features.progress"), divergence="chi2", hidden=8
            )
        ),
    ),
    "on_plateau": (
        Example(OnPlateau(1.0, patience=2)),
        Example(OnPlateau(1.0, patience=2, metric="task_return")),
    ),
    "piecewise": (Example(Piecewise(((0, 1.0), (20, 0.5), (50, 0.0)), interpolate=True)),),
    "potential": (
        Example(_PROGRESS),
        Example(Potential(_TO_GOAL, gamma=GAMMA)),
        Example(Potential(_SEVENTHS, gamma=GAMMA), "discrete"),
        Example(Potential(Distance(), gamma=GAMMA), "dict"),
    ),
    "product": (Example(Product((_EVENT, CountBonus("features.event", exponent=1.0)))),),
    "renorm": (
        Example(Renorm(_EVENT)),
        Example(0.5 * Renorm(_PROGRESS, _TASK, 0.5, "last") + _TASK),
    ),
    "running_mean": (Example(RunningMean(_PROGRESS)),),
    "running_scale": (
        Example(_PROGRESS * RunningScale(_PROGRESS)),
        Example(_TASK * RunningScale(_TASK, by="return", gamma=GAMMA)),
    ),
    "scale": (Example(Scale(_TASK, -0.5)),),
    "sign": (Example(Sign(_TASK)),),
    "state_reward": (
        Example(StateReward(Distance("obs.achieved_goal", "obs.desired_goal", kernel=Gaussian(0.5))), "dict"),
        Example(StateReward(Distance("features.agent_pos", (2.0, 3.0), "linf", ExponentialKernel(2.0)))),
        Example(
            StateReward(
                Distance("features.agent_pos", "features.goal_pos", kernel=Tiered((1.0, 3.0), (1.0, 0.25)))
            )
        ),
    ),
    "sum": (Example(Sum((_TASK, _PROGRESS, Scale(_EVENT, 0.3)))),),
    "task_reward": (Example(_TASK),),
    "trust": (Example(_EVENT * Trust(_EVENT, memory=20.0)), Example(Trust(_PROGRESS, over="episode"))),
    "ucb1": (Example(UCB1(2, period=5, low=-2.0, high=3.0)),),
    "when": (Example(When(Compare("features.progress", ">", 0.25), _EVENT, _PROGRESS)),),
}
"""Examples by the node's registered name; every node has one."""
