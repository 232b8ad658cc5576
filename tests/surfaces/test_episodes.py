"""Where episodes end, and where they do not: what wraps an environment, resets before the end, and ends that never come."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import (
    Autoreset,
    FlattenObservation,
    NormalizeReward,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    TimeLimit,
    TransformReward,
)
from gymnasium.wrappers.vector import RecordEpisodeStatistics as VectorStatistics
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.arrays import flatten
from shapegym.shaping.combinators.bounds import Delta
from shapegym.shaping.combinators.gate import Gate, gate
from shapegym.shaping.combinators.redistribute import Redistribute
from shapegym.shaping.errors import WiringError
from shapegym.shaping.evaluation import watch
from shapegym.shaping.evaluation.tape import Tape
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Episodes

PHI = TaskReward() + Potential("obs[0]", gamma=0.9).named("phi")


class Ladder(gym.Env[Any, Any]):
    """Starts at 10 and climbs by 1 a step, paid 1; ends at ``top``; says of success what it is told to."""

    observation_space = gym.spaces.Box(0, 1000, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, top: float = 12, success: Any = None) -> None:
        self.top, self.success = top, success

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = 10.0
        return np.array([self.at]), {}

    def step(self, action: Any) -> Any:
        self.at += 1
        info = {} if self.success is None else {"success": self.success}
        return np.array([self.at]), 1.0, self.at == self.top, False, info


def records(env: gym.Env[Any, Any], steps: int, *, resets: bool = True) -> list[dict[str, Any]]:
    """The finished episodes of so many steps, wherever they are reported."""
    found = [env.reset(seed=0)[1]]
    for _ in range(steps):
        _, _, terminated, truncated, info = env.step(0)
        found.append(info)
        if resets and (terminated or truncated):
            found.append(env.reset()[1])
    return [info["shaping_episode"] for info in found if "shaping_episode" in info]


EXPECTED = {"task_return": 2.0, "shaped_return": -9.1, "length": 2}


def is_expected(record: dict[str, Any]) -> bool:
    return all(record[key] == pytest.approx(value) for key, value in EXPECTED.items())


# ---------------------------------------------------------------- wrappers in any order


INSIDE = {
    "Autoreset": Autoreset,
    "TimeLimit": lambda env: TimeLimit(env, 9),
    "RecordEpisodeStatistics": RecordEpisodeStatistics,
    "OrderEnforcing": OrderEnforcing,
    "PassiveEnvChecker": PassiveEnvChecker,
    "FlattenObservation": FlattenObservation,
    "TransformReward": lambda env: TransformReward(env, lambda reward: reward),
    "Autoreset below others": lambda env: OrderEnforcing(RecordEpisodeStatistics(Autoreset(env))),
}
OUTSIDE = {name: wrap for name, wrap in INSIDE.items() if name != "PassiveEnvChecker"} | {
    "NormalizeReward": NormalizeReward
}


@pytest.mark.parametrize(
    ("place", "name"), [*(("inside", name) for name in INSIDE), *(("outside", name) for name in OUTSIDE)]
)
def test_a_wrapper_changes_no_episode_wherever_it_stands(place: str, name: str) -> None:
    if place == "inside":
        env: Any = ShapedEnv(INSIDE[name](Ladder()), PHI)
    else:
        env = OUTSIDE[name](ShapedEnv(Ladder(), PHI))
    found = records(env, 6, resets="Autoreset" not in name)
    assert len(found) == (2 if "Autoreset" in name else 3)
    assert all(map(is_expected, found))


def test_the_step_in_which_autoreset_resets_is_no_transition() -> None:
    env = ShapedEnv(Autoreset(Ladder()), PHI)
    env.reset(seed=0)
    paid = [env.step(0) for _ in range(5)]
    assert [step[1] for step in paid] == pytest.approx([0.9, -10.0, 0.0, 0.9, -10.0])
    assert paid[2][4]["task_reward"] == paid[2][4]["shaped_reward"] == 0.0
    assert paid[2][4]["reward_parts"] == {"task_reward": 0.0, "phi": 0.0}
    assert env.engine.clock == 4


def test_an_order_to_reset_comes_before_autoreset() -> None:
    env = ShapedEnv(Autoreset(Ladder()), PHI)
    for _ in range(2):
        assert is_expected(records(env, 2, resets=False)[0])


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("place", ["inside", "outside"])
def test_vector_wrappers_meet_arrays_of_numbers(mode: AutoresetMode, place: str) -> None:
    lanes = SyncVectorEnv([partial(Ladder, success=True), Ladder], autoreset_mode=mode)
    envs: Any = ShapedVectorEnv(VectorStatistics(lanes) if place == "inside" else lanes, PHI)
    envs = VectorStatistics(envs) if place == "outside" else envs
    envs.reset(seed=0)
    for _ in range(2):
        infos = envs.step(np.zeros(2, np.int64))[4]
    ours = {key: infos[key] for key in ("task_reward", "reward_parts", "shaping_episode", "_shaping_episode")}
    assert all(values.dtype.kind in "bif" for values in flatten(ours).values())  # which torch can read
    record = infos["shaping_episode"]
    assert infos["_shaping_episode"].tolist() == [True, True]
    assert record["shaped_return"].tolist() == pytest.approx([-9.1, -9.1])
    assert record["success"].tolist() == record["_success"].tolist() == [True, False]


# ---------------------------------------------------------------- resets before the end


def test_a_time_limit_outside_loses_no_books_and_is_pointed_at() -> None:
    with pytest.warns(RuntimeWarning, match=r"reset after 3 steps.*TimeLimit.*inside"):
        found = records(TimeLimit(ShapedEnv(Ladder(top=99), PHI), 3), 7)
    assert [record["length"] for record in found] == [3, 3]
    assert [record["task_return"] for record in found] == [3.0, 3.0]


def test_what_a_gate_loses_by_a_time_limit_outside_is_said_at_once() -> None:
    env = TimeLimit(ShapedEnv(Ladder(top=99), gate(TaskReward(), threshold=1.0), pay_at_end=True), 3)
    with pytest.warns(RuntimeWarning, match="at its end is lost"):
        records(env, 3)
    inside = ShapedEnv(TimeLimit(Ladder(top=99), 3), gate(TaskReward(), threshold=1.0), pay_at_end=True)
    assert [record["shaped_return"] for record in records(inside, 3)] == [6.0]


def test_whoever_resets_now_and_then_hears_nothing() -> None:
    env = ShapedEnv(Ladder(top=99), PHI)
    for steps in (0, 1, 1, 1, 2, 5, 3):
        records(env, steps)


def test_a_masked_reset_reports_only_open_episodes_of_its_lanes() -> None:
    envs = ShapedVectorEnv(
        SyncVectorEnv([partial(Ladder, top) for top in (11, 99, 99)], autoreset_mode=AutoresetMode.DISABLED),
        PHI,
    )
    envs.reset(seed=0)
    envs.step(np.zeros(3, np.int64))
    _, infos = envs.reset(options={"reset_mask": np.array([True, True, False])})
    assert infos["_shaping_episode"].tolist() == [False, True, False]
    assert infos["shaping_episode"]["length"].tolist() == [0, 1, 0]


# ---------------------------------------------------------------- steps that fail, ends that never come


class Breaks(Ladder):
    """Fails in the step that it is told to."""

    def __init__(self, at: int) -> None:
        super().__init__(top=14)
        self.left = at

    def step(self, action: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("broken")
        return super().step(action)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("at", [1, 3, 5])
def test_after_a_step_that_failed_an_episode_begins_with_nothing(batch: bool, at: int) -> None:
    held = gate(PHI.of[1], TaskReward(), threshold=4.0)
    if batch:
        lanes = SyncVectorEnv(
            [partial(Breaks, at), partial(Ladder, 14)], autoreset_mode=AutoresetMode.DISABLED
        )
        env: Any = ShapedVectorEnv(lanes, held, pay_at_end=True)
    else:
        env = ShapedEnv(Breaks(at), held, pay_at_end=True)
    action = np.zeros(2, np.int64) if batch else 0
    env.reset()
    for t in range(at):
        if t and t % 4 == 0:
            env.reset()
        if t == at - 1:
            with pytest.raises(RuntimeError, match="broken"):
                env.step(action)
        else:
            env.step(action)
    with pytest.raises(ResetNeeded, match="again after a step that failed"):
        env.step(action)
    env.reset()
    for _ in range(4):
        *_, info = env.step(action)
    record = info["shaping_episode"]
    assert np.ravel(record["length"])[0] == 4
    assert np.ravel(record["shaped_return"])[0] == pytest.approx(4 + 0.9 * (11 + 12 + 13) - 10 - 11 - 12 - 13)


ENDLESS = {
    "ShapedEnv": lambda reward: ShapedEnv(Ladder(top=-1), reward, pay_at_end=True),
    "ShapedVectorEnv": lambda reward: ShapedVectorEnv(
        SyncVectorEnv([lambda: Ladder(-1)]), reward, pay_at_end=True
    ),
    "ShapedVecEnv": lambda reward: ShapedVecEnv(DummyVecEnv([lambda: Ladder(-1)]), reward, pay_at_end=True),
    "rollouts": lambda reward: MeasuringVecEnv(DummyVecEnv([lambda: Ladder(-1)]), reward, capacity=64),
    "replay": lambda reward: MeasuringVecEnv(
        DummyVecEnv([lambda: Ladder(-1)]), reward, capacity=1, pay_at_end=True
    ),
}
WAITS = gate(TaskReward(), threshold=0.0)


@pytest.mark.parametrize("surface", ENDLESS)
@pytest.mark.parametrize(
    ("reward", "told"),
    [
        (WAITS, True),
        (Redistribute(), True),
        (PHI, False),
        (Gate(WAITS.of, WAITS.thresholds, fragments="closed"), "at the end"),
        (Delta(TaskReward()), "at the end"),
        (gate(TaskReward(), threshold=0.0, per="step"), False),
    ],
)
def test_whoever_waits_for_an_end_that_never_comes_is_told(
    surface: str, reward: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "ENDLESS", 30)
    env: Any = ENDLESS[surface](reward)
    env.reset()
    action = 0 if surface == "ShapedEnv" else np.zeros(1, np.int64)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for _ in range(40):
            env.step(action)
    said = [str(one.message) for one in heard]
    assert len(said) == (surface != "rollouts" if told == "at the end" else told)
    assert all("No episode has ended in the first 30 steps" in text and "time limit" in text for text in said)


# ---------------------------------------------------------------- shaped twice


@pytest.mark.parametrize(
    "make",
    [
        lambda shaped: ShapedEnv(shaped(), PHI),
        lambda shaped: ShapedEnv(TimeLimit(OrderEnforcing(shaped()), 5), PHI),
        lambda shaped: ShapedVectorEnv(SyncVectorEnv([Ladder, shaped]), PHI),
        lambda shaped: ShapedVectorEnv(ShapedVectorEnv(SyncVectorEnv([Ladder]), PHI), PHI),
        lambda shaped: ShapedVectorEnv(VectorStatistics(SyncVectorEnv([shaped])), PHI),
        lambda shaped: ShapedVecEnv(DummyVecEnv([lambda: OrderEnforcing(shaped())]), PHI),
    ],
)
def test_shaping_inside_of_shaping_is_refused(make: Any) -> None:
    with pytest.raises(WiringError, match=r"shaped already by Shaped.*twice.*plain environment"):
        make(lambda: ShapedEnv(Ladder(), PHI))


# ---------------------------------------------------------------- success of any shape


@pytest.mark.parametrize(
    ("said", "booked"),
    [
        (True, True),
        (np.float32(0.0), False),
        (1, True),
        (np.array([True]), True),
        (float("nan"), None),
        ("yes", None),
        (0.5, None),
        (np.array([True, False]), None),
        ([1, [2, 3]], None),
        ({"arm": True}, None),
    ],
)
def test_success_that_is_no_truth_value_stays_out_of_the_books(said: Any, booked: bool | None) -> None:
    doubtful = (isinstance(said, float) and said == 0.5) or (
        booked is None and not isinstance(said, float | int)
    )
    for make in (
        lambda: ShapedEnv(Ladder(success=said), PHI),
        lambda: ShapedVecEnv(DummyVecEnv([partial(Ladder, success=said)]), PHI),
        lambda: ShapedVectorEnv(SyncVectorEnv([partial(Ladder, success=said)]), PHI),
    ):
        env: Any = make()
        env.reset()
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            for _ in range(4):
                step = env.step(0 if isinstance(env, ShapedEnv) else np.zeros(1, np.int64))
                info = step[-1][0] if isinstance(env, ShapedVecEnv) else step[-1]
                if "shaping_episode" in info:
                    break
        success = info["shaping_episode"].get("success")
        if isinstance(env, ShapedVectorEnv):
            success = bool(success[0]) if info["shaping_episode"]["_success"][0] else None
        assert success is booked
        assert [str(one.message)[:6] for one in heard] == (["Lane 0"] if doubtful else [])


# ---------------------------------------------------------------- snapshots


def test_a_state_dict_is_a_snapshot_and_engines_share_nothing() -> None:
    env = ShapedEnv(Ladder(top=99), gate(PHI.of[1], threshold=0.0), pay_at_end=True)
    env.reset()
    env.step(0)
    saved = env.engine.state_dict()
    kept = copy.deepcopy(saved)
    twins = [ShapedEnv(Ladder(top=99), gate(PHI.of[1], threshold=0.0), pay_at_end=True) for _ in range(2)]
    for twin in twins:
        twin.engine.load_state_dict(saved)
        twin.reset()
        twin.step(0)
    env.step(0)
    np.testing.assert_equal(saved, kept)


def test_a_lane_with_a_long_episode_keeps_only_its_own_steps() -> None:
    lanes, long = 200, 2_000
    tape = Tape(3, lanes)
    first, ended = np.ones(lanes, dtype=bool), np.zeros(lanes, dtype=bool)
    active, paid = np.ones(lanes, dtype=bool), 0.0
    for t in range(long):
        ended[1:] = t % 50 == 49
        tape.append(np.full((3, lanes), float(t)), Episodes(first, ended, ended & False, active))
        if ended.any():
            block, _ = tape.close(np.flatnonzero(ended), ended[ended])
            assert block.shape == (3, 50, lanes - 1)
            paid += block[0, :, 0].sum()
        first = ended.copy()
    assert paid == sum(range(long))
    kept = sum(array.nbytes for array in vars(tape).values() if isinstance(array, np.ndarray))
    assert kept < 3 * 8 * (2 * long + 2 * 64 * lanes) + 16 * lanes
    assert tape.state_dict()["parts"][:, 0].tolist() == list(range(long))
