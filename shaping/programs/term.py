"""Programs as nodes of an expression: a term that pays what a program says, and a state function for `Potential`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np
from typing_extensions import override

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.limits import FromFile, Via
from shapegym.shaping.programs.bound import check_readable, entries_read, evaluated, features_read, measured
from shapegym.shaping.programs.program import CheckedProgram, read_program
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.functions import StateFunction
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Features, Observation, Spec, State, Transitions
from shapegym.shaping.types import Example, Expression, Term

Source: TypeAlias = Annotated[str, Via(read_program, keep=False), FromFile, "the text of a program"]
"""A field that holds a program; what is wrong with it is said when the node is made."""


@dataclass(frozen=True)
class RewardProgram(Term):
    """Pays what a program says: ``compute_reward(before, after, action) -> total, {name: part}``. See docs/programs.md.

    Its parts are logged beside it (`items`); the total is what is paid, whether or not they add up to it. Keeps nothing, and has no
    known bound. A program with memory slots is stamped; they are as at first when an episode begins.

    Args:
        source: the program's text. Equal texts are one term.
    """

    source: Source

    looks = "both"

    @property
    def program(self) -> CheckedProgram:
        """What was read of the source, without the types of an environment."""
        return read_program(self.source)

    replay = property(lambda self: Replay.STAMP if self.program.slots else Replay.RECOMPUTE)
    items = property(lambda self: self.program.parts)
    reads = property(lambda self: features_read(self.program, "after"))
    reads_before = property(lambda self: features_read(self.program, "before"))
    entries = property(lambda self: entries_read(self.program))

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_form(self.program, "reward", "Potential(PotentialProgram(source)) pays a potential.")

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(TaskReward() + cls(_NEARER)),
            Example(TaskReward() + 0.5 * cls(_BEST)),
            Example(cls(_SYMBOLS), "discrete"),
            Example(cls(_GOAL), "dict"),
            Example(TaskReward() + Potential(PotentialProgram(_PHI), gamma=0.9)),
        )

    @override
    def init(self, spec: Spec) -> State:
        check_readable(self.source, spec)
        if not self.program.slots:
            return {}
        rows = 1 + len(self.program.parts)
        return {"memory": self.program.fresh_memory(spec.num_lanes), "paid": np.zeros((rows, spec.num_lanes))}

    @override
    def observe(self, transitions: Transitions, state: State, *inputs: Any) -> None:
        if state:
            measured(self.source, transitions, state["memory"], state["paid"])

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        return self.itemise(transitions, state)[0]

    @override
    def itemise(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        paid: np.ndarray = state["paid"] if state else measured(self.source, transitions, None)
        return paid

    def __str__(self) -> str:
        return _in_short(self, self.program)


@dataclass(frozen=True)
class PotentialProgram(StateFunction):
    """Phi as a program says it: ``potential(state) -> total, {name: part}``. In `Potential` it keeps the task's optimal policies.

    Args:
        source: the program's text.
    """

    source: Source

    @property
    def program(self) -> CheckedProgram:
        """What was read of the source, without the types of an environment."""
        return read_program(self.source)

    items = property(lambda self: self.program.parts)
    reads = property(lambda self: features_read(self.program, "state"))
    entries = property(lambda self: entries_read(self.program))

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_form(self.program, "potential", "RewardProgram(source) pays a reward.")

    @override
    def check(self, spec: Spec) -> None:
        check_readable(self.source, spec)

    @override
    def value(self, obs: Observation, features: Features) -> np.ndarray:
        return self.itemise(obs, features)[0]

    @override
    def itemise(self, obs: Observation, features: Features) -> np.ndarray:
        return evaluated(self.source, (obs, features))

    def __str__(self) -> str:
        return _in_short(self, self.program)


def program_reward(source: str) -> Expression:
    """Return the task's reward and what a program adds to it: a potential of it keeps the task's optimal policies.

    Raises:
        ProgramError: if it is refused.
    """
    if read_program(source).form == "potential":
        return TaskReward() + Potential(PotentialProgram(source))
    return TaskReward() + RewardProgram(source)


def _require_form(program: CheckedProgram, form: str, instead: str) -> None:
    if program.form != form:
        raise ExpressionError(f"This program is a {program.form}, and a {form} is needed. {instead}")


def _in_short(node: Any, program: CheckedProgram) -> str:
    """A program has many lines, and logs are read by people."""
    lines = len(program.source.strip().splitlines())
    return f"{type(node).__name__}({', '.join(program.parts) or 'no parts'}; {lines} lines)"


_NEARER = '''
def compute_reward(before, after, action):
    """Nearer to the goal, an event, and a price for one of the actions."""
    was = distance(before.agent_pos, before.goal_pos)
    nearer = 0.5 * (was - distance(after.agent_pos, after.goal_pos))
    event = 1.0 if after.event == 2 and before.event != 2 else 0.0
    effort = -0.1 * (action == 1) - 0.01 * abs(after.limb.joint.angle)
    return nearer + event + effort, {"nearer": nearer, "event": event, "effort": effort}
'''
_BEST = '''
MEMORY = {"best": 0.0, "steps": 0}

def compute_reward(before, after, action, memory):
    """Only progress beyond the best of the episode counts, and less with every step."""
    gain = max(after.progress - memory.best, 0.0)
    memory.best = max(memory.best, after.progress)
    memory.steps += 1
    if memory.steps > 3:
        return 0.5 * gain, {"late": 0.5 * gain}
    return gain, {"early": gain}
'''
_SYMBOLS = """
def compute_reward(before, after, action):
    moved = after.obs != before.obs
    return 0.25 * moved if after.obs in (2, 4, 6) else -0.05, {"moved": moved}
"""
_GOAL = """
def compute_reward(before, after, action):
    near = exp(-norm(after.obs.achieved_goal - after.obs.desired_goal))
    return near, {"near": near}
"""
_PHI = """
def potential(state):
    away = -0.2 * manhattan(state.agent_pos, state.goal_pos)
    done = 0.5 * state.progress
    return away + done, {"away": away, "done": done}
"""
