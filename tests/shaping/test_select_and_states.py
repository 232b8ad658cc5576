"""Selectors and state functions: what they read, and what they refuse."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest

from shapegym.shaping.errors import ExpressionError, ObservationError, UnknownNameError
from shapegym.shaping.states.distance import Distance, Gaussian
from shapegym.shaping.states.functions import (
    _CALLABLES,
    Call,
    Phi,
    Read,
    Table,
    as_state_function,
    state_function,
)
from shapegym.shaping.states.select import Selects, SelectsOne, selector
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec
from shapegym.shaping.types import NODES, Term

OBS = np.arange(24.0).reshape(2, 3, 4)
FEATURES = {"agent_pos": np.array([[1, 2], [3, 4]]), "done": np.array([True, False])}


@state_function(reads=("agent_pos",))
def first_coordinate(obs, features):
    return features["agent_pos"][:, 0]


@state_function
def whole_rows(obs, features):
    return obs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("obs", OBS.reshape(2, 12)),
        ("obs[5]", OBS.reshape(2, 12)[:, 5:6]),
        ("obs[2:4]", OBS.reshape(2, 12)[:, 2:4]),
        ("obs[10:]", OBS.reshape(2, 12)[:, 10:]),
        ("features.agent_pos", FEATURES["agent_pos"]),
        ("features.agent_pos[1]", FEATURES["agent_pos"][:, 1:2]),
        ("features.done", FEATURES["done"][:, None]),
    ],
)
def test_selectors_read_rows(text, expected):
    np.testing.assert_array_equal(selector(text).read(OBS, FEATURES), expected)


def test_selectors_read_entries_of_dicts():
    np.testing.assert_array_equal(
        selector("obs.image[1:3]").read({"image": OBS}, {}), OBS.reshape(2, 12)[:, 1:3]
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "observation",
        "obs[",
        "obs[-1]",
        "obs[3:3]",
        "features",
        "features[0]",
        "obs..b",
        "ended.a",
        "obs[1,2]",
        3,
    ],
)
def test_what_is_no_selector_is_refused(text):
    with pytest.raises(ExpressionError, match=r"[sS]elector"):
        selector(text)


def test_selectors_are_checked_against_spaces():
    spec = Spec(
        1,
        gym.spaces.Dict({"image": gym.spaces.Box(0, 1, (2, 3)), "mission": gym.spaces.Text(5)}),
        gym.spaces.Discrete(2),
        features={"agent_pos": gym.spaces.Box(0, 9, (2,)), "success": gym.spaces.Discrete(2)},
    )
    assert selector("obs.image").width(spec) == 6
    assert selector("features.agent_pos").width(spec) == 2
    assert selector("features.success").width(spec) == 1
    assert selector("features.unknown").width(spec) is None
    with pytest.raises(ObservationError, match=r"reads column 6, but there are only 6 \(0 to 5\)"):
        selector("obs.image[6]").width(spec)
    with pytest.raises(ObservationError, match="no array of numbers"):
        selector("obs.mission").width(spec)
    pair = gym.spaces.Tuple((gym.spaces.Discrete(3), gym.spaces.Discrete(2)))
    assert selector("obs.1").width(Spec(1, pair, gym.spaces.Discrete(2))) == 1
    with pytest.raises(
        ObservationError, match=r"a Tuple, so 'obs' is ambiguous: select one entry, e.g. 'obs.0'"
    ):
        selector("obs").width(Spec(1, pair, gym.spaces.Discrete(2)))
    with pytest.raises(ObservationError, match="not a Dict"):
        selector("obs.image").width(Spec(1, gym.spaces.Discrete(3), gym.spaces.Discrete(2)))


def test_one_number_means_one():
    with pytest.raises(ObservationError, match=r"'features.agent_pos' selects 2 numbers a lane; pick one"):
        Read("features.agent_pos").value(OBS, FEATURES)
    np.testing.assert_array_equal(Read("features.agent_pos[1]").value(OBS, FEATURES), [2.0, 4.0])


def test_tables_look_up_states():
    table = Table((0.5, -1.0, 2.0))
    np.testing.assert_array_equal(table.value(np.array([2, 0]), {}), [2.0, 0.5])
    with pytest.raises(ObservationError, match="outside a Table of 3 values"):
        table.value(np.array([3]), {})
    for state in (0.5, np.nan, np.inf, -1.0):
        with pytest.raises(ObservationError, match=f"State {state:g} is outside"):
            table.value(np.array([0.0, state]), {})
    with pytest.raises(
        ObservationError, match="selects 2 numbers a lane"
    ):  # undeclared, so not seen at binding
        Table((0.5, -1.0), "features.agent_pos").value(OBS, FEATURES)
    with pytest.raises(
        ExpressionError, match=r"Table: values must be a non-empty tuple of finite numbers, got \(0.0, nan\)"
    ):
        Table((0.0, float("nan")))


def test_registered_functions_are_data():
    assert first_coordinate == Call("first_coordinate")
    assert Potential("first_coordinate").reads == ("agent_pos",)
    assert pickle.loads(pickle.dumps(Potential(first_coordinate))) == Potential(first_coordinate)
    np.testing.assert_array_equal(first_coordinate.value(OBS, FEATURES), [1.0, 3.0])
    assert as_state_function("first_coordinate") == Call("first_coordinate")
    with pytest.raises(UnknownNameError, match="Did you mean 'first_coordinate'"):
        Potential("first_coordinates")
    with pytest.raises(ObservationError, match="one number a lane"):
        whole_rows.value(OBS, FEATURES)
    with pytest.raises(ExpressionError, match="registered already"):

        @state_function
        def distance(obs, features):
            return obs[:, 0]

    with pytest.raises(ExpressionError, match="@state_function"):
        Potential(lambda obs, features: obs[:, 0])


@pytest.mark.parametrize("obs", [OBS, {"a": {"b": OBS}}, (OBS, OBS)], ids=["array", "dict", "tuple"])
def test_a_function_returns_one_number_for_each_lane(obs):
    """A kernel would read past the end of a shorter array."""
    for numbers in (1, 3):

        @state_function
        def always_as_many(obs, features, numbers=numbers):
            return np.zeros(numbers)

        with pytest.raises(ObservationError, match=rf"shape \({numbers},\).* shape \(2,\)"):
            always_as_many.value(obs, FEATURES)
        del _CALLABLES["always_as_many"]


def test_a_name_belongs_to_one_function():
    """Expressions refer to functions by name, so another function must not take the place of a registered one."""

    def define(factor, times, function, power=1):
        space = {"np": np, "state_function": state_function}
        body = f"np.{function}(obs[:, 0, 0]) * {times}"
        exec(f"def taken(obs, features):\n    return {body}\nresult = state_function(taken)", space)

        @state_function
        def scaled(obs, features, power=power):
            return (obs[:, 0, 0] * factor) ** power

        return space["result"], scaled

    sine, scaled = define(1000.5, 3, "sin")
    assert define(1000.5, 3, "sin") == (sine, scaled)  # the same module, executed again
    for other in ((1000.5, 4, "sin"), (1000.5, 3, "cos"), (2000.5, 3, "sin"), (1000.5, 3, "sin", 2)):
        with pytest.raises(ExpressionError, match="registered already"):
            define(*other)
    np.testing.assert_array_equal(sine.value(OBS, {}), np.sin(OBS[:, 0, 0]) * 3)
    np.testing.assert_array_equal(scaled.value(OBS, {}), OBS[:, 0, 0] * 1000.5)


def test_what_has_no_name_cannot_be_registered():
    with pytest.raises(ExpressionError, match="written with def"):
        state_function(functools.partial(np.add, 1))


@pytest.mark.parametrize("gamma", [0.0, 1.5, "0.9", float("nan")])
def test_a_potentials_gamma_is_a_discount(gamma):
    with pytest.raises(ExpressionError, match="discount"):
        Potential("obs[0]", gamma=gamma)


def test_reward_files_know_every_node_of_the_package():
    """Importing the schema must import every family, or its nodes would be missing from files but not from Python."""
    program = """
import pkgutil, importlib
import shapegym.shaping.files.schema
from shapegym.shaping import types
from shapegym.shaping.states import functions as states
known = set(types.NODES), set(states.STATE_FUNCTIONS)
import shapegym.shaping as package
for module in pkgutil.walk_packages(package.__path__, "shapegym.shaping."):
    if ".surfaces" not in module.name:
        importlib.import_module(module.name)
assert known == (set(types.NODES), set(states.STATE_FUNCTIONS)), set(types.NODES) - known[0]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_a_state_function_class_must_return_a_number_a_lane():
    from shapegym.shaping.evaluation.engine import RewardEngine
    from shapegym.shaping.states.functions import STATE_FUNCTIONS, StateFunction
    from shapegym.shaping.transitions import Transitions

    @dataclass(frozen=True)
    class Short(StateFunction):
        def value(self, obs, features):
            return np.array([7.0])

    STATE_FUNCTIONS.pop("short")
    engine = RewardEngine(
        Potential(Short(), gamma=0.9), Spec(3, gym.spaces.Discrete(5), gym.spaces.Discrete(2))
    )
    no = np.zeros(3, dtype=bool)
    obs = np.zeros(3, dtype=int)
    with pytest.raises(ObservationError, match=r"returned shapes \(1,\) and \(1,\) for 3 lane"):
        engine.measure(Transitions(obs, obs, obs, np.zeros(3), no, no, ~no, ~no))


@pytest.mark.parametrize(("side", "reads", "before"), [("after", 1, 0), ("before", 0, 1), ("both", 1, 1)])
def test_what_a_term_reads_follows_from_its_annotations(side, reads, before):
    class Elsewhere:
        """Out of reach of annotations, as everything in a function is."""

    @dataclass(frozen=True)
    class Mine(Term):
        of: SelectsOne
        phi: Phi
        others: tuple[Selects, ...] = ("obs", "features.a")
        limit: float | Selects = 1.0
        unknown: Elsewhere | None = None

        looks = side

        def measure(self, transitions, state, *inputs):
            return np.zeros(transitions.num_lanes)

    NODES.pop("mine")
    term = Mine("features.b", Distance("features.c", "features.d", kernel=Gaussian("features.e")))
    names = ("b", "c", "d", "e", "a")
    assert term.reads == names * reads
    assert term.reads_before == names * before
    wide = Spec(2, gym.spaces.Box(0, 1, (2,)), gym.spaces.Discrete(2))
    with pytest.raises(ObservationError, match=r"pick one, e.g. 'obs\[0\]'"):
        Mine("obs", "features.p").init(wide)
    assert Mine("obs[1]", "features.p").init(wide) == {}
