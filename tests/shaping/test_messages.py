"""What goes wrong is said as well as it was when every class checked its own fields by hand.

Beside each message stands what was said then; the class or key, the field, what was given and what is allowed must still be there.
"""

# ruff: noqa: E501  (each message on a line, as it is said)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shapegym.shaping.algebra import Constant
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import ExpressionError, RewardFileError
from shapegym.shaping.files.reward_files import loads
from shapegym.shaping.states.distance import Distance, ExponentialKernel, Gaussian, Tiered
from shapegym.shaping.states.functions import Table
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Event, Milestones
from shapegym.shaping.terms.goals import GoalReached, StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.dynamic_potential import DynamicPotential

NO_SELECTOR = "is not a selector. Write 'obs', 'obs[0:2]', 'obs.<entry>' or 'features.<name>[<column>]'."
A_SELECTOR = "is not a selector. Write 'obs', 'obs[0:2]', 'obs.<entry>', 'features.<name>[<column>]', 'action' or 'terminated'."
GATE = gate(Constant(1.0), threshold=0.0)

CONSTRUCTORS: list[tuple[Callable[[], Any], str, str]] = [
    (
        lambda: Event(trigger="fall"),
        "Event: trigger must be one of level, rise, change, got 'fall'.",
        "Event: trigger must be 'level', 'rise' or 'change', got 'fall'.",
    ),
    (
        lambda: Event(value="1"),
        "Event: value must be a finite number, got '1'.",
        "Event: value must be a finite number, got '1'.",
    ),
    (
        lambda: Event("success"),
        f"'success' {NO_SELECTOR}",
        f"Event: of cannot be read: 'success' {A_SELECTOR} Did you mean 'features.success'?",
    ),
    (
        lambda: Event(equals=np.inf),
        "Event: equals must be a finite number, got inf.",
        "Event: equals must be a finite number or None, got inf.",
    ),
    (
        lambda: Compare(op="=<"),
        "Compare: op must be one of > >= < <= == !=, got '=<'.",
        "Compare: op must be '>', '>=', '<', '<=', '==' or '!=', got '=<'. Did you mean '<'?",
    ),
    (
        lambda: Compare(to=np.nan),
        "Compare: to must be a finite number, got nan.",
        "Compare: to must be a finite number or a selector such as 'obs[0]', got nan.",
    ),
    (
        lambda: Milestones(()),
        "Milestones needs a non-empty tuple of expressions such as Event(...), got ().",
        "Milestones: of must be a non-empty tuple of expressions, got ().",
    ),
    (
        lambda: Milestones((1.0,)),
        "Milestones needs a non-empty tuple of expressions such as Event(...), got (1.0,).",
        "Milestones: of must be a non-empty tuple of expressions, got (1.0,).",
    ),
    (
        lambda: Milestones((GATE,)),
        f"Milestones: {GATE} is known only when the episode ends; a milestone must be known at its step.",
        f"Milestones: of must be known at its step, but {GATE} is known only in hindsight. Use the terms inside of it.",
    ),
    (
        lambda: Milestones((Event(value=0.0),)),
        "Milestones: Event(value=0.0) pays 0, so it would never count as reached; give it a value.",
        "Milestones: Event(value=0.0) pays 0, so it would never count as reached; give it a value.",
    ),
    (
        lambda: Potential("obs[0]", gamma=1.5),
        "A potential's gamma is the agent's discount, in (0, 1], got 1.5.",
        "Potential: gamma must be the agent's discount in (0, 1] or None, got 1.5.",
    ),
    (
        lambda: Potential(3),
        "A state function is a StateFunction (Distance, Table, ...) or the name of a registered one, got 3. Decorate your own function with @state_function.",
        "Potential: phi must be a state function such as Distance(...) or the name of one (decorate your own with @state_function), got 3.",
    ),
    (
        lambda: DynamicPotential("obs[0]", 3),
        "DynamicPotential: weight must be a schedule such as Linear(1, 0, 100_000), got 3.",
        "DynamicPotential: weight must be a schedule such as Linear(1, 0, 100_000), got 3.",
    ),
    (
        lambda: StateReward(3),
        "A state function is a StateFunction (Distance, Table, ...) or the name of a registered one, got 3. Decorate your own function with @state_function.",
        "StateReward: phi must be a state function such as Distance(...) or the name of one (decorate your own with @state_function), got 3.",
    ),
    (
        lambda: GoalReached(radius=-1.0),
        "GoalReached: radius must be a finite number, at least 0, got -1.0.",
        "GoalReached: radius must be a finite number >= 0, got -1.0.",
    ),
    (
        lambda: GoalReached(reward=np.inf),
        "GoalReached: reward must be a finite number, got inf.",
        "GoalReached: reward must be a finite number, got inf.",
    ),
    (
        lambda: GoalReached(norm="l3"),
        "Distance: norm must be one of l1, l2, linf, l2_squared, got 'l3'.",
        "GoalReached: norm must be 'l1', 'l2', 'linf' or 'l2_squared', got 'l3'.",
    ),
    (
        lambda: CountBonus(exponent=-1),
        "CountBonus: exponent must be a number >= 0 (0.5 is usual), got -1.",
        "CountBonus: exponent must be a number >= 0, got -1.",
    ),
    (
        lambda: CountBonus(scope="run"),
        "CountBonus: scope must be 'lifetime' or 'episode', got 'run'.",
        "CountBonus: scope must be 'lifetime' or 'episode', got 'run'.",
    ),
    (
        lambda: CountBonus(hashing=5),
        "CountBonus: hashing must be None or SimHash(bits, seed), got 5.",
        "CountBonus: hashing must be SimHash or None, got 5.",
    ),
    (
        lambda: CountBonus(resolution=0),
        "CountBonus: resolution must be a number > 0, or None, got 0.",
        "CountBonus: resolution must be a finite number > 0 or None, got 0.",
    ),
    (
        lambda: SimHash(bits=0),
        "SimHash: bits must be an integer of at least 1, got 0.",
        "SimHash: bits must be an integer of at least 1, got 0.",
    ),
    (
        lambda: SimHash(seed=-1),
        "SimHash: seed must be an integer of at least 0, got -1.",
        "SimHash: seed must be an integer of at least 0, got -1.",
    ),
    (
        lambda: Gaussian(0.0),
        "Gaussian: sigma must be a finite number above 0, got 0.0.",
        "Gaussian: sigma must be a finite number > 0 or a selector such as 'obs[0]', got 0.0.",
    ),
    (
        lambda: Gaussian("size"),
        f"'size' {NO_SELECTOR}",
        f"Gaussian: sigma cannot be read: 'size' {A_SELECTOR} Did you mean 'features.size'?",
    ),
    (
        lambda: ExponentialKernel(True),
        "ExponentialKernel: scale must be a finite number above 0, got True.",
        "ExponentialKernel: scale must be a finite number > 0, got True.",
    ),
    (
        lambda: Tiered((1.0,), (2.0, 1.0)),
        "Tiered needs one value for each edge, at least one, got 1 and 2.",
        "Tiered needs one value for each edge, got 1 and 2.",
    ),
    (
        lambda: Tiered((-1.0, 1.0), (2.0, 1.0)),
        "Tiered: edges are radii from the inside out, so increasing, none negative; got (-1.0, 1.0).",
        "Tiered: edges must be a non-empty tuple of finite numbers >= 0, got (-1.0, 1.0).",
    ),
    (
        lambda: Tiered((1.0, 2.0), (1.0, 2.0)),
        "Tiered: values must decrease outwards and stay above 0, so that nearer is never worth less; got (1.0, 2.0).",
        "Tiered: values must decrease outwards, so that nearer is never worth less; got (1.0, 2.0).",
    ),
    (
        lambda: Distance("obs", ("a",)),
        "Distance: to must hold numbers only, got ('a',).",
        "Distance: to must be a selector such as 'obs[0]' or a tuple of finite numbers, got ('a',).",
    ),
    (
        lambda: Distance("obs", 1.0),
        "Distance: to must be a tuple of numbers, got 1.0.",
        "Distance: to must be a selector such as 'obs[0]' or a tuple of finite numbers, got 1.0.",
    ),
    (
        lambda: Distance("obs", (0.0,), "euclid"),
        "Distance: norm must be one of l1, l2, linf, l2_squared, got 'euclid'.",
        "Distance: norm must be 'l1', 'l2', 'linf' or 'l2_squared', got 'euclid'.",
    ),
    (
        lambda: Distance("obs", (0.0,), kernel="gaussian"),
        "Distance: kernel must be Gaussian, ExponentialKernel, Tiered or None, got 'gaussian'.",
        "Distance: kernel must be Gaussian(...), ExponentialKernel(...), Tiered(...) or None, got 'gaussian'.",
    ),
    (
        lambda: Table((0.0, np.nan)),
        "Table needs at least one value, all finite, got (0.0, nan).",
        "Table: values must be a non-empty tuple of finite numbers, got (0.0, nan).",
    ),
    (
        lambda: Constant(np.nan),
        "Constant: value must be finite, got nan.",
        "Constant: value must be a finite number, got nan.",
    ),
]

FILES: list[tuple[str, str, str]] = [
    (
        "reward: true",
        "bad.yaml:1:1: reward: Expected Expression, got True.",
        "bad.yaml:1:1: reward: must be an expression, got True.",
    ),
    (
        "reward: .nan",
        "bad.yaml:1:1: reward: Constant: value must be finite, got nan.",
        "bad.yaml:1:1: reward: Constant: value must be a finite number, got nan.",
    ),
    (
        "reward:\n  potential: {}",
        "bad.yaml:2:3: reward.potential: 'potential' needs the field 'phi': StateFunction or str.",
        "bad.yaml:2:3: reward.potential: 'potential' needs the field 'phi': a state function such as Distance(...) or the name of one (decorate your own with @state_function).",
    ),
    (
        "reward:\n  clip: {of: task_reward, high: big}",
        "bad.yaml:2:27: reward.clip.high: Expected float, got 'big'.",
        "bad.yaml:2:27: reward.clip.high: must be a number, got 'big'.",
    ),
    (
        "reward:\n  clip: {of: task_reward, high: null}",
        "bad.yaml:2:27: reward.clip.high: Expected float, got None.",
        "bad.yaml:2:27: reward.clip.high: must be a number, got None.",
    ),
    (
        "reward: {sum: task_reward}",
        "bad.yaml:1:10: reward.sum: Expected a list of Expression, got 'task_reward'.",
        "bad.yaml:1:10: reward.sum: of: must be a non-empty list of expressions, got 'task_reward'.",
    ),
    (
        "reward: {sum: []}",
        "bad.yaml:1:10: reward.sum: Sum needs a non-empty tuple of expressions, got ().",
        "bad.yaml:1:10: reward.sum: Sum: of must be a non-empty tuple of expressions, got ().",
    ),
    (
        "reward: {event: {trigger: rises}}",
        "bad.yaml:1:18: reward.event.trigger: Expected one of 'level', 'rise', 'change', got 'rises'. Did you mean 'rise'? Known: change, level, rise.",
        "bad.yaml:1:18: reward.event.trigger: must be 'level', 'rise' or 'change', got 'rises'. Did you mean 'rise'?",
    ),
    (
        "reward: {event: {of: success}}",
        f"bad.yaml:1:10: reward.event: 'success' {NO_SELECTOR}",
        f"bad.yaml:1:18: reward.event.of: cannot be read: 'success' {A_SELECTOR} Did you mean 'features.success'?",
    ),
    (
        "reward: {goal_reached: {radius: -1}}",
        "bad.yaml:1:10: reward.goal_reached: GoalReached: radius must be a finite number, at least 0, got -1.",
        "bad.yaml:1:25: reward.goal_reached.radius: must be a finite number >= 0, got -1.",
    ),
    (
        "reward: {potential: {phi: 3}}",
        "bad.yaml:1:22: reward.potential.phi: Expected StateFunction or str, got 3.",
        "bad.yaml:1:22: reward.potential.phi: must be a state function such as Distance(...) or the name of one (decorate your own with @state_function), got 3.",
    ),
    (
        "reward: {potential: {phi: obs, gamma: 2}}",
        "bad.yaml:1:10: reward.potential: A potential's gamma is the agent's discount, in (0, 1], got 2.",
        "bad.yaml:1:32: reward.potential.gamma: must be the agent's discount in (0, 1] or null, got 2.",
    ),
    (
        "reward: {potential: {phi: obs, name: 3}}",
        "bad.yaml:1:32: reward.potential.name: Expected str or null, got 3.",
        "bad.yaml:1:32: reward.potential.name: must be a text or null, got 3.",
    ),
    (
        "reward: {state_reward: {phi: {distance: {kernel: 1}}}}",
        "bad.yaml:1:42: reward.state_reward.phi.distance.kernel: Expected DistanceKernel or null, got 1.",
        "bad.yaml:1:42: reward.state_reward.phi.distance.kernel: must be Gaussian(...), ExponentialKernel(...), Tiered(...) or null, got 1.",
    ),
    (
        "reward: {state_reward: {phi: {distance: {to: [0, x]}}}}",
        "bad.yaml:1:50: reward.state_reward.phi.distance.to[1]: Expected float, got 'x'.",
        "bad.yaml:1:50: reward.state_reward.phi.distance.to[1]: must be a finite number, got 'x'.",
    ),
    (
        "reward: {state_reward: {phi: {distance: {to: {}}}}}",
        "bad.yaml:1:42: reward.state_reward.phi.distance.to: Expected str or a list of float, got {}.",
        "bad.yaml:1:42: reward.state_reward.phi.distance.to: must be a selector such as 'obs[0]' or a list of finite numbers, got {}.",
    ),
    (
        "reward: {count_bonus: {scope: run}}",
        "bad.yaml:1:24: reward.count_bonus.scope: Expected one of 'lifetime', 'episode', got 'run'. Known: episode, lifetime.",
        "bad.yaml:1:24: reward.count_bonus.scope: must be 'lifetime' or 'episode', got 'run'.",
    ),
    (
        "reward: {count_bonus: {hashing: {sim_hash: {bits: 1.5}}}}",
        "bad.yaml:1:45: reward.count_bonus.hashing.sim_hash.bits: Expected int, got 1.5.",
        "bad.yaml:1:45: reward.count_bonus.hashing.sim_hash.bits: must be an integer of at least 1, got 1.5.",
    ),
    (
        "reward: {count_bonus: {hashing: {sim_hash: 0}}}",
        "bad.yaml:1:34: reward.count_bonus.hashing.sim_hash: SimHash: bits must be an integer of at least 1, got 0.",
        "bad.yaml:1:34: reward.count_bonus.hashing.sim_hash: bits: must be an integer of at least 1, got 0.",
    ),
]


@pytest.mark.parametrize(("build", "before", "now"), CONSTRUCTORS, ids=[case[2] for case in CONSTRUCTORS])
def test_constructors_say_what_fits(build: Callable[[], Any], before: str, now: str) -> None:
    with pytest.raises(ExpressionError) as error:
        build()
    assert str(error.value) == now
    assert given(now) == given(before)


@pytest.mark.parametrize(("text", "before", "now"), FILES, ids=[case[0] for case in FILES])
def test_reward_files_say_where_and_what_fits(text: str, before: str, now: str) -> None:
    with pytest.raises(RewardFileError) as error:
        loads(text, "bad.yaml")
    assert str(error.value) == now
    assert given(now) == given(before)
    line, before_line = (int(message.split(":")[1]) for message in (now, before))
    assert line == before_line


def given(message: str) -> str:
    """What a message says was given."""
    return message.partition("got ")[2].partition(". ")[0].rstrip(".")
