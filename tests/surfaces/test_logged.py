"""What is logged and not paid: in books, logs and info on every surface, and nowhere in what is learned from."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.callbacks import ShapingCallback
from shapegym.agents.finite.tabulate import tabulate
from shapegym.shaping.algebra import Constant, Sum, TaskReward, clip
from shapegym.shaping.audit.alarms import harmless_parts, task_parts
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.logged import Logged
from shapegym.shaping.errors import ExpressionError
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.promises import Keeps
from shapegym.shaping.surfaces.findings import check_wiring
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.events import EVENT, Event
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.tree import guarantee_of, has_task_reward, terms_of
from shapegym.shaping.types import Expression, times_task_is_paid
from shapegym.shaping.weights.schedules import Linear, anneal

TASK = TaskReward()
SPEED = Logged(StateReward("features.progress").named("speed"))
AROUND = {
    "a sum": (TASK + SPEED, TASK),
    "a multiple": (0.5 * (TASK + SPEED), 0.5 * TASK),
    "a multiple of it": (TASK + 0 * SPEED, TASK),
    "a clip": (clip(TASK + SPEED, -0.5, 0.5), clip(TASK, -0.5, 0.5)),
    "a condition": (TASK + when(EVENT, EVENT, SPEED), TASK + when(EVENT, EVENT, Constant(0.0))),
    "inside a sum inside": (Sum((TASK, (EVENT + SPEED).named("both"))), TASK + EVENT),
}


def walk_through(expression: Expression, **options: Any) -> tuple[list[float], list[dict[str, Any]]]:
    env = ShapedEnv(ScriptedEnv(), expression, **options)
    env.reset(seed=0)
    rewards, infos = [], []
    for _ in range(12):
        _, reward, terminated, truncated, info = env.step(0)
        rewards.append(reward)
        infos.append({**info, "progress": info["progress"]})
        if terminated or truncated:
            env.reset()
    return rewards, infos


@pytest.mark.parametrize(("with_it", "without"), AROUND.values(), ids=AROUND)
def test_it_adds_nothing_and_is_told_as_it_is(with_it: Expression, without: Expression) -> None:
    rewards, infos = walk_through(with_it)
    assert rewards == walk_through(without)[0]
    assert [info["reward_parts"]["speed"] for info in infos] == [info["progress"] for info in infos]
    total = 0.0
    for info in infos:
        total += info["progress"]
        if "shaping_episode" in info:
            assert info["shaping_episode"]["parts"]["speed"] == pytest.approx(total)
            total = 0.0
        assert info["shaped_reward"] == pytest.approx(
            sum(value for name, value in info["reward_parts"].items() if name != "speed")
        )
    twin = loads(dumps(with_it))
    assert twin == with_it
    assert hash(twin) == hash(with_it)


def test_it_may_be_known_in_hindsight() -> None:
    gated = gate(Potential("features.progress", gamma=0.9), threshold=0.5)
    rewards, infos = walk_through(TASK + Logged(gated).named("gated"), pay_at_end=True)
    assert rewards == walk_through(TASK)[0]
    paid, told = walk_through(gated, pay_at_end=True)
    assert [info["reward_parts"]["gated"] for info in infos] == paid
    assert any(paid)
    assert told


def test_it_is_told_on_the_other_surfaces() -> None:
    reward = TASK + SPEED
    envs = ShapedVectorEnv(SyncVectorEnv([ScriptedEnv] * 2), reward)
    envs.reset()
    _, rewards, _, _, infos = envs.step(np.zeros(2, int))
    np.testing.assert_array_equal(rewards, infos["task_reward"])
    np.testing.assert_array_equal(infos["reward_parts"]["speed"], infos["progress"])
    venv = ShapedVecEnv(DummyVecEnv([ScriptedEnv] * 2), reward)
    venv.reset()
    _, rewards, _, told = venv.step(np.zeros(2, int))
    np.testing.assert_array_equal(rewards, np.float32(infos["task_reward"]))
    assert venv.reward_parts["speed"].tolist() == [info["progress"] for info in told]


@pytest.mark.parametrize("algorithm", ["PPO", "DQN"])
def test_a_model_learns_without_it_and_its_log_has_it(algorithm: str, tmp_path: Any) -> None:
    kinds = {
        "PPO": partial(PPO, n_steps=16, batch_size=16, n_epochs=1),
        "DQN": partial(DQN, learning_starts=20, buffer_size=64),
    }
    venv = DummyVecEnv([partial(ScriptedEnv, lane=lane) for lane in range(2)])
    model = kinds[algorithm]("MlpPolicy", venv, seed=0, device="cpu", policy_kwargs={"net_arch": [4]})
    wire(model, anneal(TASK, Linear(1, 1, 9)) + SPEED)
    callback = ShapingCallback(tmp_path)
    model.learn(32, callback=callback)
    buffer = model.rollout_buffer if algorithm == "PPO" else model.replay_buffer
    if algorithm == "DQN":
        np.testing.assert_allclose(buffer.rewards[:16], buffer.task_rewards[:16], atol=1e-6)
    else:  # where SB3 bootstraps, the buffer's rewards are more than what was paid
        np.testing.assert_array_equal(buffer.settled.shaped, buffer.settled.task)
    rows = [json.loads(line) for line in (tmp_path / "episodes.jsonl").read_text().splitlines()]
    assert rows
    for row in rows:
        assert row["logged"].keys() == {"speed"}
        assert sum(row["parts"].values()) == pytest.approx(row["shaped_return"])
    assert "term-remark" not in str(check_wiring(model))
    assert engine_of(model).addends[-1] == "speed"


def test_what_is_asked_of_an_expression_does_not_see_it() -> None:
    phi = Potential("features.progress").named("phi")
    reward = TASK + phi + SPEED
    assert guarantee_of(reward).keeps & Keeps.POLICIES
    assert [part for part, _ in reward.leave_one_out()] == [phi]
    assert times_task_is_paid(TASK + Logged(TASK)) == 1
    assert not has_task_reward(phi + Logged(TASK))
    assert harmless_parts(reward) == {"phi"}
    assert task_parts(TASK + Logged(TASK).named("copy")) == {"task_reward"}
    assert len(terms_of(reward)) == 3


def test_a_table_pays_without_it() -> None:
    plain = tabulate("shapegym/Corridor-v0", TASK, 0.9)
    told = tabulate("shapegym/Corridor-v0", TASK + Logged(Event("features.success", 5.0)), 0.9)
    np.testing.assert_array_equal(plain.branch_shaped, told.branch_shaped)
    assert told.parts.keys() == {"task_reward"}


def test_nothing_but_logged_pays_nothing() -> None:
    rewards, infos = walk_through(Sum((SPEED,)))
    assert rewards == [0.0] * 12
    assert any(info["reward_parts"]["speed"] for info in infos)
    rewards, infos = walk_through(SPEED)
    assert rewards == [0.0] * 12


def test_a_factor_it_cannot_be() -> None:
    for build in (lambda: TASK * SPEED, lambda: SPEED * EVENT, lambda: anneal(SPEED, Linear(1, 0, 9))):
        with pytest.raises(ExpressionError, match=r"logged and not paid.*Logged\(a \* b\)"):
            build()


def test_a_name_of_its_own() -> None:
    env: gym.Env = ShapedEnv(ScriptedEnv(), TASK + Logged(EVENT) + EVENT)
    assert env.engine.addends == ("task_reward", "event", "event_2")  # type: ignore[attr-defined]
    env = ShapedEnv(ScriptedEnv(), TASK + Logged(EVENT).named("seen") + EVENT)
    assert env.engine.addends == ("task_reward", "event", "seen")  # type: ignore[attr-defined]
