"""Programs as rewards: paid and itemised on every surface, read from files, saved by their text."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO

from shapegym.agents.callbacks import find_surface
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_data, reward_given
from shapegym.experiments.runs.request import RunConfig
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import Gate
from shapegym.shaping.errors import (
    ExpressionError,
    FeatureError,
    NonFiniteError,
    RewardFileError,
    ShapingError,
    StateFileError,
)
from shapegym.shaping.files.reward_files import dumps, from_data, load_reward, loads, to_data
from shapegym.shaping.programs.language.complaint import ProgramError
from shapegym.shaping.programs.term import PotentialProgram, RewardProgram, program_reward
from shapegym.shaping.promises import Keeps, Replay
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.testing.scripted import ScriptedEnv
from shapegym.shaping.tree import guarantee_of
from shapegym.shaping.types import Expression

PARTS = """
def compute_reward(before, after, action):
    near = 0.5 * after.progress
    cost = -0.125 * (action == 1)
    return near + cost, {"near": near, "cost": cost}
"""
PHI = """
def potential(state):
    return state.progress - 0.5, {"progress": state.progress, "half": -0.5}
"""
COUNTS = """
MEMORY = {"steps": 0}

def compute_reward(before, after, action, memory):
    memory.steps += 1
    return memory.steps, {"steps": memory.steps}
"""


def played(env: gym.Env, steps: int = 20) -> list[dict]:
    """The infos of some steps with episodes that follow each other."""
    infos, over = [], True
    for step in range(steps):
        if over:
            env.reset()
        *_, terminated, truncated, info = env.step(step % 3)
        over = terminated or truncated
        infos.append(info)
    return infos


@pytest.mark.parametrize("example", RewardProgram.examples(), ids=str)
def test_examples_also_work_where_features_are_not_declared(example) -> None:
    from shapegym.shaping.testing import check_expression

    check_expression(example.node, lambda: ScriptedEnv(example.observation, declare=False), gamma=0.9)


def test_what_a_part_is_made_of_is_logged_and_not_paid() -> None:
    infos = played(ShapedEnv(ScriptedEnv(), TaskReward() + 2.0 * RewardProgram(PARTS)))
    for info in infos:
        parts = info["reward_parts"]
        assert parts["reward_program"] == parts["reward_program/near"] + parts["reward_program/cost"]
        assert info["shaped_reward"] == info["task_reward"] + parts["reward_program"]
    ended = [info["shaping_episode"]["parts"] for info in infos if "shaping_episode" in info]
    assert ended
    assert list(ended[0]) == ["task_reward", "reward_program", "reward_program/near", "reward_program/cost"]
    assert min(parts["reward_program/cost"] for parts in ended) < 0


def test_items_of_a_named_part_and_of_a_gated_one() -> None:
    named = ShapedEnv(ScriptedEnv(), TaskReward() + RewardProgram(PARTS).named("model"))
    assert named.engine.addends == ("task_reward", "model", "model/near", "model/cost")
    gated = ShapedEnv(
        ScriptedEnv(), TaskReward() + Gate((TaskReward(), RewardProgram(PARTS)), (0.5,)), pay_at_end=True
    )
    infos = played(gated)
    assert {"reward_program/near", "reward_program/cost"} <= set(infos[0]["reward_parts"])
    assert any(info["reward_parts"]["reward_program/near"] for info in infos)


def test_a_potential_keeps_optimal_policies_and_has_items() -> None:
    reward = program_reward(PHI)
    assert Keeps.POLICIES in guarantee_of(reward).keeps
    assert guarantee_of(program_reward(PARTS)).keeps is Keeps.NOTHING
    infos = played(ShapedEnv(ScriptedEnv(), reward, gamma=0.9))
    for info in infos:
        parts = info["reward_parts"]
        assert parts["potential"] == pytest.approx(parts["potential/progress"] + parts["potential/half"])
    ended = [info for info in infos if "shaping_episode" in info]
    assert ended


def test_what_is_paid_is_the_total_whatever_the_parts_say() -> None:
    env = ShapedEnv(ScriptedEnv(), RewardProgram(PARTS.replace("return near + cost", "return 7")))
    assert {info["shaped_reward"] for info in played(env)} == {7.0}


def test_memory_begins_anew_with_each_episode_and_goes_on_after_a_file(tmp_path: Path) -> None:
    reward = RewardProgram(COUNTS)
    assert reward.replay is Replay.STAMP
    assert RewardProgram(PARTS).replay is Replay.RECOMPUTE
    env = ShapedEnv(ScriptedEnv(), reward)
    lengths = [info["shaping_episode"]["length"] for info in played(env, 30) if "shaping_episode" in info]
    returns = [
        info["shaping_episode"]["shaped_return"]
        for info in played(ShapedEnv(ScriptedEnv(), reward), 30)
        if "shaping_episode" in info
    ]
    assert returns == [length * (length + 1) / 2 for length in lengths]
    env.save(tmp_path / "state.npz")
    other = ShapedEnv(ScriptedEnv(), RewardProgram(COUNTS.replace("+= 1", "+= 2")))
    with pytest.raises(StateFileError):
        other.load(tmp_path / "state.npz")


@pytest.mark.parametrize("make", [ShapedVectorEnv, ShapedVecEnv])
def test_vector_surfaces_log_items(make) -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv

    makers = [lambda lane=lane: ScriptedEnv(lane=lane) for lane in range(3)]
    inner = gym.vector.SyncVectorEnv(makers) if make is ShapedVectorEnv else DummyVecEnv(makers)
    env = make(inner, TaskReward() + RewardProgram(PARTS))
    env.reset()
    for step in range(10):
        env.step(np.full(3, step % 3))
    assert env.engine.logged == ("reward_program/near", "reward_program/cost")


@pytest.mark.parametrize(("algorithm", "options"), [(PPO, {"n_steps": 32, "batch_size": 32}), (DQN, {})])
def test_buffers_book_items(algorithm, options) -> None:
    model = algorithm("MlpPolicy", ScriptedEnv(), gamma=0.9, **options)
    wire(model, TaskReward() + 0.5 * RewardProgram(PARTS))
    model.learn(64)
    records = find_surface(model.env).drain_records()
    assert len(records) > 5
    for record in records:
        items = record.parts["reward_program/near"] + record.parts["reward_program/cost"]
        assert record.parts["reward_program"] == pytest.approx(items)
        assert record.shaped_return == pytest.approx(record.task_return + record.parts["reward_program"])


def test_a_program_is_data_and_short_in_logs() -> None:
    for reward in (program_reward(PARTS), program_reward(PHI), program_reward(COUNTS)):
        assert loads(dumps(reward)) == from_data(to_data(reward)) == reward
        assert hash(loads(dumps(reward))) == hash(reward)
        assert len(str(reward)) < 120
    assert "    near = 0.5 * after.progress\n" in dumps(program_reward(PARTS))  # as it was written
    assert str(RewardProgram(PARTS)) == "RewardProgram(near, cost; 4 lines)"


def test_files_may_hold_programs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PARTS)
    (tmp_path / "phi.py").write_text(PHI)
    (tmp_path / "reward.yaml").write_text(
        "reward:\n  sum:\n    - task_reward\n    - reward_program: {file: mine.py, name: model}\n"
        "    - potential: {phi: {potential_program: {file: phi.py}}}\n"
    )
    expected = (
        TaskReward() + RewardProgram(PARTS).named("model") + Potential(PotentialProgram(PHI), gamma=None)
    )
    assert load_reward(tmp_path / "reward.yaml") == expected
    assert reward_given("mine.py", tmp_path).expression == program_reward(PARTS)
    assert reward_given(str(tmp_path / "phi.py")).expression == program_reward(PHI)
    given = {"reward_program": {"file": str(tmp_path / "mine.py")}}
    kept = RunConfig("shapegym/Chain-v0", 100, reward=given).reward
    assert kept == to_data(RewardProgram(PARTS))
    with pytest.raises(RunError, match="name of a file"):
        require_data(given)
    with pytest.raises(RewardFileError, match="name of a file"):
        from_data(given)


def test_mistakes_in_files_say_where(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PARTS.replace("(action == 1)", "__import__('os').system('true')"))
    (tmp_path / "reward.yaml").write_text("reward:\n  reward_program:\n    file: mine.py\n")
    with pytest.raises(RewardFileError, match=r"reward.yaml:3.*line 4: There is no function"):
        load_reward(tmp_path / "reward.yaml")
    with pytest.raises(RewardFileError, match=r"mine.py: .*line 4"):
        reward_given("mine.py", tmp_path)
    (tmp_path / "reward.yaml").write_text("reward:\n  reward_program: {file: nowhere.py}\n")
    with pytest.raises(RewardFileError, match=r"nowhere.py"):
        load_reward(tmp_path / "reward.yaml")


def test_what_cannot_be_bound_says_why() -> None:
    def bound(source: str) -> ShapedEnv:
        return ShapedEnv(ScriptedEnv(), program_reward(source), gamma=0.9)

    with pytest.raises(FeatureError, match="Did you mean 'progress'"):
        bound(PARTS.replace("after.progress", "after.progres"))
    with pytest.raises(ProgramError, match="Pick one"):
        bound(PARTS.replace("after.progress", "after.agent_pos"))
    with pytest.raises(ExpressionError, match="a reward is needed"):
        RewardProgram(PHI)
    with pytest.raises(ExpressionError, match="a potential is needed"):
        PotentialProgram(PARTS)
    undeclared = ShapedEnv(
        ScriptedEnv(declare=False), RewardProgram(PARTS.replace("after.progress", "after.far"))
    )
    undeclared.reset()
    with pytest.raises(FeatureError, match="far"):
        undeclared.step(0)


def test_a_part_that_is_not_finite_is_named() -> None:
    env = ShapedEnv(
        ScriptedEnv(), RewardProgram(PARTS.replace("0.5 * after.progress", "log(after.progress - 2)"))
    )
    env.reset()
    with pytest.raises(NonFiniteError, match="reward_program/near"):
        env.step(0)
    assert issubclass(ProgramError, ShapingError)


def test_equal_texts_are_one_term() -> None:
    reward: Expression = RewardProgram(PARTS) + 2.0 * RewardProgram(PARTS)
    env = ShapedEnv(ScriptedEnv(), TaskReward() + reward)
    assert len(env.engine.terms) == 2
