"""Plain products of an episodic and a lifetime factor: on rollouts, on replay buffers, with two heads, and across a resume."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest

import shapegym as sg
from shapegym.agents import make_agent
from shapegym.shaping import RE3, RND, CountBonus, EllipticalNovelty, Expression, KernelCount, TaskReward
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.models.encoder import RandomEncoder
from shapegym.shaping.testing import ScriptedEnv, check_expression, record

CODES = RandomEncoder(width=3, hidden=8)
LIFETIME = RND(width=3, hidden=8)
PRODUCTS = {
    "counts": CountBonus("obs", exponent=math.inf, scope="episode") * LIFETIME,
    "ellipse": EllipticalNovelty(CODES) * LIFETIME,
    "kernel": KernelCount(CODES, neighbours=2, memory=4) * RE3(width=3, hidden=8, memory=9),
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_products_keep_the_contract(product: Expression) -> None:
    check_expression(TaskReward() + 0.1 * product, steps=32)


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_rollouts_after_a_resume_are_paid_to_the_bit(product: Expression, tmp_path) -> None:
    spec, stream = record(product, ScriptedEnv, lanes=3, steps=48)
    engines = [RewardEngine(product, spec, learn_every=None) for _ in range(2)]
    paid = []
    for engine in engines:
        for t, step in enumerate(stream):
            paid.append(engine.measure(step).copy())
            if engine.waits and t % 16 == 15:
                paid.append(engine.learn())
            if engine is engines[0] and t == 20:
                save_engine(engine, tmp_path / "state")
                engine = RewardEngine(product, spec, learn_every=None)  # noqa: PLW2901  # goes on as another
                load_engine(engine, tmp_path / "state")
    half = len(paid) // 2
    for resumed, straight in zip(paid[:half], paid[half:], strict=True):
        np.testing.assert_array_equal(resumed, straight)


@pytest.mark.parametrize("algorithm", ["PPO", "TwoHeadPPO", "DQN"])
def test_algorithms_learn_from_a_product(algorithm: str) -> None:
    settings = {"learning_starts": 16} if algorithm == "DQN" else {"n_steps": 16, "batch_size": 32}
    reward = sg.TaskReward() + 0.1 * PRODUCTS["ellipse"]
    make_agent(algorithm, "shapegym/FourRooms-v0", reward, seed=0, num_envs=2, **settings).learn(64)


@pytest.mark.parametrize(
    "method", [sg.RND, sg.ICM, sg.RIDE, sg.Disagreement, sg.DEIR, sg.ETD, sg.NovelD, sg.E3B, sg.NGU, sg.RE3]
)
def test_two_of_one_kind_are_told_apart(method) -> None:
    reward = sg.TaskReward() + method(width=4, hidden=8) + method(width=8, hidden=8)
    spec = sg.Spec(2, gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.Discrete(3))
    names = sg.RewardEngine(reward, spec).program.model_names
    assert len(set(names)) == len(names)
