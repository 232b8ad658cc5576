"""The cost meter, on a clock that only the measured things move: what each of them spends is then known exactly."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper, VecNormalize

from shapegym.agents import profiling
from shapegym.agents.callbacks import EvaluationCallback, find_surface
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import SettingsError
from shapegym.agents.factory import make_agent
from shapegym.agents.profiling import SECTIONS, CostMeter, Costs
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.promises import Replay
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.types import NODES, Term

ENV = "shapegym/Corridor-v0"
LANES = 4
SMALL = {
    "PPO": {"n_steps": 16, "batch_size": 32},
    "DQN": {"learning_starts": 32, "buffer_size": 500, "batch_size": 16, "train_freq": 4},
    "RecurrentPPO": {"n_steps": 16, "batch_size": 32},
}


class Clock:
    """Stands still except while somebody spends time, and knows who spent how much."""

    def __init__(self) -> None:
        self.now = 0
        self.spent: dict[str, int] = {}

    def __call__(self) -> float:
        return float(self.now)

    def spend(self, who: str, time: int) -> None:
        self.now += time
        self.spent[who] = self.spent.get(who, 0) + time

    def slow(self, thing: object, method: str, who: str, time: int) -> None:
        """Let a method of ``thing`` take ``time``."""
        fast = getattr(thing, method)

        def slowed(*args, **kwargs):
            result = fast(*args, **kwargs)  # first what it calls, which may be on other accounts
            self.spend(who, time)
            return result

        setattr(thing, method, slowed)


class SlowWorld(VecEnvWrapper):
    def __init__(self, venv, clock: Clock) -> None:
        super().__init__(venv)
        self.clock = clock

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        self.clock.spend("environment", 5)
        return self.venv.step_wait()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(profiling, "perf_counter", clock)
    return clock


@pytest.fixture
def slow_term(clock):
    """A term that takes 2 to observe and 3 to measure, and is measured again when it is replayed."""
    before = dict(NODES)

    @dataclass(frozen=True)
    class Slow(Term):
        replay: ClassVar[Replay] = Replay.FROZEN

        def observe(self, transitions, state):
            clock.spend("slow", 2)

        def measure(self, transitions, state):
            clock.spend("slow", 3)
            return np.zeros(len(transitions.reward))

    yield Slow()
    NODES.clear()
    NODES.update(before)


@pytest.mark.parametrize("algo", SMALL)
@pytest.mark.parametrize("shaped", [True, False])
def test_every_moment_counts_for_what_spent_it(algo, shaped, clock, slow_term):
    venv = SlowWorld(make_vec_env(ENV, LANES, seed=0), clock)
    model = make_agent(algo, venv, TaskReward() + slow_term if shaped else None, seed=0, **SMALL[algo])
    clock.slow(model, "train", "learner", 11)
    if algo == "DQN":
        clock.slow(model, "_sample_action", "policy", 7)
    else:
        clock.slow(model.policy, "forward", "policy", 7)
        clock.slow(model.policy, "predict_values", "policy", 1)
        clock.slow(model.rollout_buffer, "compute_returns_and_advantage", "learner", 13)
    if shaped:
        surface = find_surface(model.env)
        clock.slow(surface, "settle", "reward", 17)
        clock.slow(surface.engine, "pay", "reward", 31)
        clock.slow(surface.engine, "remeasure", "reward", 37)
        if algo == "DQN":
            clock.slow(model.replay_buffer, "remeasure", "learner", 41)  # between the two
    with CostMeter(model) as meter:
        clock.spend("other", 19)
        model.learn(128, callback=Spending(clock))
    costs = meter.costs()
    assert costs.sections["environment"] == clock.spent["environment"] == 5 * 128 // LANES
    assert costs.sections["policy"] == clock.spent["policy"]
    assert costs.sections["learner"] == clock.spent["learner"]
    assert costs.sections["other"] == clock.spent["other"]
    assert costs.sections["reward"] == clock.spent.get("reward", 0) + clock.spent.get("slow", 0)
    assert costs.terms == ({"task_reward": 0, "slow": clock.spent["slow"]} if shaped else {})
    assert costs.seconds == clock.now
    assert costs.frames == 128
    if shaped and algo == "DQN":
        assert clock.spent["slow"] > 5 * 128 // LANES  # replayed transitions were measured again


class Spending(BaseCallback):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def _on_step(self) -> bool:
        self.clock.spend("other", 23)
        return True


@pytest.mark.parametrize("algo", ["PPO", "DQN"])
def test_evaluations_are_neither_policy_nor_environment(algo, clock):
    model = make_agent(algo, make_vec_env(ENV, LANES, seed=0), TaskReward(), seed=0, **SMALL[algo])
    world = SlowWorld(make_vec_env(ENV, LANES, seed=1), clock)
    clock.slow(model.policy, "predict", "predict", 29)
    with CostMeter(model) as meter:
        model.learn(64, callback=EvaluationCallback(world, 32, episodes=4))
    evaluated = clock.spent["environment"] // 5
    assert meter.costs().sections["other"] == evaluated * (5 + 29) > 0
    assert meter.costs().sections["policy"] == clock.spent["predict"] - evaluated * 29
    assert meter.costs().seconds == clock.now


@pytest.mark.parametrize("algo", SMALL)
def test_training_is_the_same_to_the_bit(algo):
    reward = TaskReward() + 0.1 * CountBonus("features.state")

    def train(measured: bool) -> list[torch.Tensor]:
        model = make_agent(algo, make_vec_env(ENV, LANES, seed=3), reward, seed=3, **SMALL[algo])
        if measured:
            with CostMeter(model):
                model.learn(256)
        else:
            model.learn(256)
        return list(model.policy.parameters())

    assert all(map(torch.equal, train(False), train(True)))


def things(model) -> list[object]:
    surface = find_surface(model.env)
    return [model, model.policy, model.rollout_buffer, surface, surface.engine, surface.venv]


def test_everything_is_as_it_was_after_the_block_and_after_an_error():
    model = make_agent("PPO", make_vec_env(ENV, LANES, seed=0), TaskReward(), seed=0, **SMALL["PPO"])
    model.learn(64)
    engine = find_surface(model.env).engine
    before = [set(vars(thing)) for thing in things(model)]
    methods = [entry[1] for entry in engine._plan]
    with pytest.raises(ZeroDivisionError), CostMeter(model) as meter:
        model.learn(64, callback=lambda *_: 1 / 0)
    assert [set(vars(thing)) for thing in things(model)] == before
    assert [entry[1] for entry in engine._plan] == methods
    assert meter.costs().frames == LANES
    spent = meter.costs()
    model.learn(64)
    assert meter.costs() == spent


def test_what_is_saved_within_the_block_is_what_is_always_saved(tmp_path):
    venv = VecNormalize(make_vec_env(ENV, LANES, seed=0), norm_reward=False)
    model = make_agent("PPO", venv, TaskReward(), seed=0, **SMALL["PPO"])
    model.learn(64)
    model.save(tmp_path / "outside")
    with CostMeter(model):
        model.save(tmp_path / "within")
        venv.save(str(tmp_path / "statistics"))
    outside, within = (PPO.load(tmp_path / name) for name in ("outside", "within"))
    assert set(vars(within)) == set(vars(outside))
    assert within.train.__func__ is PPO.train


def test_costs_can_be_read_on_the_way(clock):
    world = SlowWorld(make_vec_env(ENV, LANES, seed=0), clock)
    model = make_agent("PPO", world, seed=0, **SMALL["PPO"])
    seen = []
    with CostMeter(model) as meter:
        model.learn(64, callback=lambda *_: seen.append(meter.costs()) or True)
    assert [costs.frames for costs in seen] == list(range(LANES, 65, LANES))
    assert [costs.seconds for costs in seen] == list(itertools.accumulate([5] * 16))


def test_a_resumed_run_costs_the_sum():
    first = Costs(100, dict.fromkeys(SECTIONS, 1.0), {"bonus": 0.5}, resumed=1)
    both = first.then(Costs(300, dict.fromkeys(SECTIONS, 3.0), {"bonus": 1.0, "gate": 0.25}))
    assert both == Costs(400, dict.fromkeys(SECTIONS, 4.0), {"bonus": 1.5, "gate": 0.25}, resumed=2)
    assert both.seconds == 20.0
    assert both.frames_per_second == 20.0
    assert Costs().frames_per_second == 0.0


def test_a_model_without_environment_is_refused(tmp_path):
    model = make_agent("PPO", make_vec_env(ENV, LANES, seed=0), seed=0, **SMALL["PPO"])
    model.save(tmp_path / "model")
    with pytest.raises(SettingsError, match="no environment"):
        CostMeter(PPO.load(tmp_path / "model"))
