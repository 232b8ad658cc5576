"""Reward machines, held to plain loops: their walk, their value, their potential, and a policy that sees them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import machine_reference
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import assume, given
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from shapegym.shaping.algebra import Constant, TaskReward
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import DiscountError, ExpressionError, ObservationError, ShapingError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dump_reward, dumps, loads, to_data
from shapegym.shaping.promises import Keeps
from shapegym.shaping.states.functions import Table
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.machine_env import MachineObservation
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.events import Event
from shapegym.shaping.terms.machine_potential import MachinePotential
from shapegym.shaping.terms.machine_state import MachineState
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.reward_machine import Edge, RewardMachine
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_losses, guarantee_of, keeps_of, largest

EVENTS = "abc"
OF = {name: Event(f"features.{name}") for name in EVENTS}
STATES = ("u0", "u1", "u2", "u3")
SPEC = Spec(1, spaces.Discrete(2), spaces.Discrete(2))

moves = st.lists(
    st.tuples(
        st.sampled_from(STATES[:3]),
        st.sampled_from(EVENTS),
        st.sampled_from(STATES),
        st.integers(-8, 8).map(lambda number: number / 4),
    ),
    min_size=1,
    max_size=8,
).map(lambda listed: [("u0", "a", listed[0][2], 0.5), *listed])
episodes = st.lists(
    st.lists(st.sets(st.sampled_from(EVENTS)), min_size=1, max_size=7), min_size=1, max_size=3
)


def built(listed: machine_reference.Moves) -> RewardMachine:
    edges = tuple(Edge(source, OF[event], target, reward) for source, event, target, reward in listed)
    left = {edge.source for edge in edges}
    dead = tuple(dict.fromkeys(edge.target for edge in edges if edge.target not in left))
    try:
        return RewardMachine(edges, dead)
    except ExpressionError:  # a state that cannot be reached
        assume(False)
        raise


def transitions(happened: list[list[set[str]]], *, terminated: bool = True) -> list[Transitions]:
    """One lane in which these events happen, episode after episode."""
    yes, no, nothing = np.ones(1, dtype=bool), np.zeros(1, dtype=bool), np.zeros(1, dtype=np.int64)
    stream = []
    for episode in happened:
        for step, events in enumerate(episode):
            last = yes if step + 1 == len(episode) else no
            ends = (last, no) if terminated else (no, last)
            told = {name: np.array([name in events]) for name in EVENTS}
            rows = (nothing, nothing, nothing, np.zeros(1))
            stream.append(Transitions(*rows, *ends, yes if step == 0 else no, yes, next_features=told))
    return stream


def paid(expression: Any, stream: list[Transitions]) -> list[float]:
    engine = RewardEngine(expression, SPEC)
    return [engine.step(step)[0].item() for step in stream]


@given(moves, episodes)
def test_a_machine_walks_and_pays_as_the_loop_does(
    listed: machine_reference.Moves, happened: list[list[set[str]]]
) -> None:
    machine = built(listed)
    walked = [machine_reference.walk(listed, "u0", episode) for episode in happened]
    assert paid(machine, transitions(happened)) == [reward for _, rewards in walked for reward in rewards]
    for state in machine.states:
        inside = [float(now == state) for states, _ in walked for now in states[1:]]
        assert paid(MachineState(machine, state), transitions(happened)) == inside


@given(moves, st.sampled_from([0.1, 0.9, 0.97]))
def test_its_value_is_the_fixed_point_of_value_iteration(
    listed: machine_reference.Moves, gamma: float
) -> None:
    machine = built(listed)
    expected = machine_reference.values(listed, machine.states, machine.terminal, gamma)
    np.testing.assert_allclose(machine.values(gamma), [expected[name] for name in machine.states], atol=1e-9)


@given(moves, episodes, st.sampled_from([0.5, 0.95, 1.0]), st.booleans())
def test_its_potential_telescopes_whatever_happens(
    listed: machine_reference.Moves, happened: list[list[set[str]]], gamma: float, terminated: bool
) -> None:
    machine = built(listed)
    rewards = iter(paid(MachinePotential(machine, gamma), transitions(happened, terminated=terminated)))
    value = dict(zip(machine.states, machine.values(0.9), strict=True))
    for episode in happened:
        states, _ = machine_reference.walk(listed, "u0", episode)
        total = sum(gamma**t * next(rewards) for t in range(len(episode)))
        end = 0.0 if terminated else gamma ** len(episode) * value[states[-1]]
        assert total == pytest.approx(end - value["u0"], abs=1e-9)


COFFEE = RewardMachine(
    (
        Edge("start", OF["a"], "carrying", 0.25),
        Edge("start", OF["c"], "failed"),
        Edge("carrying", OF["c"], "failed"),
        Edge("carrying", OF["b"], "done", 1.0),
    ),
    terminal=("done", "failed"),
)


def test_the_first_edge_that_holds_is_taken_one_a_step() -> None:
    machine = RewardMachine(
        (
            Edge("start", OF["a"] * OF["b"], "both", 3.0),
            Edge("start", OF["a"], "one", 1.0),
            Edge("one", 1 - OF["a"], "start", -1.0),
            Edge("one", OF["a"] + OF["b"], "one", 0.5),
        ),
        terminal=("both",),
    )
    assert paid(machine, transitions([[{"a", "b"}, {"a"}]])) == [3.0, 0.0]
    assert paid(machine, transitions([[{"a"}, {"a"}, set(), {"a"}]])) == [1.0, 0.5, -1.0, 1.0]


def test_values_by_hand() -> None:
    np.testing.assert_allclose(COFFEE.values(0.9), [0.25 + 0.9, 1.0, 0.0, 0.0])
    assert dict(zip(COFFEE.states, COFFEE.values(0.5), strict=True)) == {
        "start": 0.75,
        "carrying": 1.0,
        "failed": 0.0,
        "done": 0.0,
    }


def test_it_is_data() -> None:
    reward = TaskReward() + COFFEE.named("coffee") + MachinePotential(COFFEE, 0.9)
    assert loads(dumps(reward)) == reward
    assert hash(loads(dumps(reward))) == hash(reward)
    text = """
reward:
  reward_machine:
    edges:
    - edge: {source: start, on: {event: features.a}, target: carrying, reward: 0.25}
    - edge: {source: start, on: {event: features.c}, target: failed}
    - edge: {source: carrying, on: {event: features.c}, target: failed}
    - edge: {source: carrying, on: {event: features.b}, target: done, reward: 1}
    terminal: [done, failed]
"""
    assert loads(text) == COFFEE
    assert str(COFFEE.edges[0]) == "Edge('start', Event('features.a'), 'carrying', reward=0.25)"


def test_what_it_promises() -> None:
    assert guarantee_of(TaskReward() + 2 * MachinePotential(COFFEE)).keeps & Keeps.POLICIES
    assert keeps_of(TaskReward() + COFFEE) is Keeps.NOTHING
    assert largest(COFFEE) == 1.0
    assert guarantee_losses(TaskReward() + MachinePotential(COFFEE)) == ()
    for own, agents in ((0.9, 0.99), (None, None)):
        with pytest.raises(DiscountError):
            MachinePotential(COFFEE, own).init(Spec(1, spaces.Discrete(2), spaces.Discrete(2), gamma=agents))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RewardMachine(()), "edges must be a non-empty tuple"),
        (lambda: RewardMachine((Edge("a", OF["a"], "b"),)), r"no edge leaves 'b', and it is not terminal"),
        (
            lambda: RewardMachine(
                (Edge("start", OF["a"], "carying"), Edge("carrying", OF["b"], "done")), ("done",)
            ),
            r"'carrying' cannot be reached|no edge leaves 'carying'.*Did you mean 'carrying'",
        ),
        (
            lambda: RewardMachine((Edge("a", OF["a"], "b"), Edge("b", OF["b"], "a")), ("b",)),
            "'b' is terminal, and an edge leaves it",
        ),
        (
            lambda: RewardMachine((Edge("a", OF["a"], "done"),), ("dome",)),
            r"no edge leads to or from 'dome'. Did you mean 'done'",
        ),
        (lambda: RewardMachine((Edge("a", OF["a"], "a"),), start="b"), "no edge leads to or from 'b'"),
        (lambda: Edge("a", gate(TaskReward(), threshold=1.0), "b"), "Edge: on must be known at its step"),
        (lambda: Edge("", OF["a"], "b"), "Edge: source must be the name of a state"),
        (lambda: Edge("a", OF["a"], "b", float("nan")), "Edge: reward must be a finite number"),
        (lambda: MachineState(COFFEE, "carying"), "Did you mean 'carrying'"),
        (lambda: MachinePotential(COFFEE, planning_gamma=1.0), "planning_gamma must be"),
        (lambda: MachinePotential(OF["a"]), "MachinePotential: machine must be"),
    ],
)
def test_what_makes_no_machine_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ShapingError, match=message):
        make()


# ---------------------------------------------------------------------- what a policy sees


class Errand(gym.Env):
    """Action 0 fetches, 1 delivers, 2 waits; infos tell. Observations of any space; no reward of its own."""

    action_space = spaces.Discrete(3)

    def __init__(self, space: gym.Space | None = None, *, declare: bool = True) -> None:
        self.observation_space = space or spaces.Box(-1, 1, (2,), np.float32)
        if declare:
            self.features = {name: spaces.Box(0, 1, (), np.bool_) for name in EVENTS}

    def look(self, **told: bool) -> tuple[Any, dict[str, Any]]:
        self.observation_space.seed(0)
        return self.observation_space.sample(), {name: told.get(name, False) for name in EVENTS}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.look()

    def step(self, action: Any) -> Any:
        self.t += 1
        obs, told = self.look(a=action == 0, b=action == 1)
        return obs, 0.5, False, self.t == 6, told


def test_a_policy_sees_where_the_machine_is() -> None:
    env = MachineObservation(Errand(), COFFEE)
    assert env.observation_space.shape == (6,)
    obs, info = env.reset(seed=0)
    assert (obs[2:].tolist(), info["machine_state_name"]) == ([1, 0, 0, 0], "start")
    for action, mark, name, ends in (
        (1, [1, 0, 0, 0], "start", False),
        (0, [0, 1, 0, 0], "carrying", False),
        (2, [0, 1, 0, 0], "carrying", False),
        (1, [0, 0, 0, 1], "done", True),
    ):
        obs, reward, terminated, truncated, info = env.step(action)
        assert env.observation_space.contains(obs)
        assert (obs[2:].tolist(), info["machine_state_name"], terminated) == (mark, name, ends)
        assert (reward, truncated) == (0.5, False)
        assert not {"reward_parts", "shaping_episode"} & info.keys()
    assert env.reset()[1]["machine_state"] == 0


@pytest.mark.parametrize(
    ("space", "read"),
    [
        (spaces.Discrete(4), lambda obs: obs["machine"]),
        (spaces.Box(0, 255, (4, 4, 3), np.uint8), lambda obs: obs["machine"]),
        (spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3))), lambda obs: obs["machine"]),
        (spaces.Dict({"place": spaces.Discrete(2)}), lambda obs: obs["machine"]),
        (spaces.Box(0, 9, (3,), np.int64), lambda obs: obs[3:]),
        (spaces.Box(-1, 1, (3,), np.float64), lambda obs: obs[3:]),
    ],
)
def test_observations_of_any_space(space: gym.Space, read: Callable[[Any], Any]) -> None:
    env = MachineObservation(Errand(space), COFFEE)
    env.reset(seed=0)
    obs, *_ = env.step(0)
    assert env.observation_space.contains(obs)
    assert read(obs).tolist() == [0, 1, 0, 0]


def test_an_episode_goes_on_if_the_machine_is_not_to_end_it() -> None:
    env = MachineObservation(Errand(declare=False), COFFEE, ends=False)
    env.reset(seed=0)
    assert [env.step(action)[2] for action in (0, 1, 1)] == [False] * 3


def test_the_machine_of_a_reward_file_is_found(tmp_path: Any) -> None:
    reward = TaskReward() + COFFEE + MachinePotential(COFFEE, 0.9)
    dump_reward(reward, tmp_path / "coffee.yaml")
    for given_as in (COFFEE, reward, to_data(reward), str(tmp_path / "coffee.yaml")):
        assert MachineObservation(Errand(), given_as).machine == COFFEE
    other = RewardMachine((Edge("a", OF["a"], "a", 1.0),))
    for wrong in (TaskReward(), COFFEE + other, 3):
        with pytest.raises(ExpressionError, match="one RewardMachine"):
            MachineObservation(Errand(), wrong)


def test_a_machine_that_no_policy_sees_draws_a_remark() -> None:
    for env, said in (
        (Errand(), True),
        (MachineObservation(Errand(), COFFEE), False),
        (Errand(declare=False), False),
    ):
        shaped = ShapedEnv(env, COFFEE)
        assert bool(COFFEE.remark(shaped.engine.spec)) is said


def test_an_entry_that_is_taken_is_refused() -> None:
    with pytest.raises(ObservationError, match="has an entry 'machine' already"):
        MachineObservation(Errand(spaces.Dict({"machine": spaces.Discrete(2)})), COFFEE)


def test_rewards_read_the_state_as_a_feature_and_pay_the_machine_around_it() -> None:
    by_state = Potential(Table((0.0, 1.0, 0.0, 2.0), "features.machine_state"), gamma=0.9)
    bonus = when(MachineState(COFFEE, "carrying"), Constant(0.125), Constant(0.0))
    reward = TaskReward() + COFFEE + MachinePotential(COFFEE, 0.9) + by_state + bonus
    env = ShapedEnv(MachineObservation(Errand(), COFFEE), reward)
    env.reset(seed=0)
    parts = [env.step(action)[4]["reward_parts"] for action in (0, 1)]
    assert [part["reward_machine"] for part in parts] == [0.25, 1.0]
    np.testing.assert_allclose([part["machine_potential"] for part in parts], [0.9 * 1.0 - 1.15, -1.0])
    np.testing.assert_allclose([part["potential"] for part in parts], [0.9, -1.0])
    assert [part["when"] for part in parts] == [0.125, 0.0]


@pytest.mark.slow
def test_ppo_learns_an_errand_that_it_sees() -> None:
    """Fetch, then deliver: the same observation asks for two actions, so a policy that does not see the machine cannot."""
    options = {"wrapper_class": MachineObservation, "wrapper_kwargs": {"machine": COFFEE}}
    venv = make_vec_env(partial(Errand, declare=False), 4, seed=0, **options)
    model = PPO(
        "MlpPolicy",
        venv,
        n_steps=32,
        batch_size=32,
        gamma=0.9,
        seed=0,
        device="cpu",
        learning_rate=1e-3,
        ent_coef=0.01,
    )
    wire(model, COFFEE + MachinePotential(COFFEE))
    model.learn(2048)
    env = MachineObservation(Errand(), COFFEE)
    obs, _ = env.reset(seed=1)
    names = []
    for _ in range(2):
        obs, _, _, _, info = env.step(int(model.predict(obs, deterministic=True)[0]))
        names.append(info["machine_state_name"])
    assert names == ["carrying", "done"]
