from functools import partial
from types import MappingProxyType, SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from sb3_reference import Walk, additive, gated, potential
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import FeatureError, HindsightError, ObservationError, WiringError
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, ShapedVecEnv
from shapegym.shaping.terms.events import Compare
from shapegym.shaping.terms.potential import Potential

GAMMA = 0.9
PROGRESS = TaskReward() + Potential("features.progress").named("toward")
BY_OBSERVATION = {
    "box": TaskReward() + Potential("obs[0]"),
    "dict": TaskReward() + 0.2 * Potential("obs.achieved_goal"),
    "discrete": TaskReward() + 0.2 * Potential("obs"),
}


def toward(step):
    return potential(step, GAMMA)


def make_walks(count, kind="box", **kwargs):
    walks = [Walk(kind, lane, **kwargs) for lane in range(count)]
    return walks, DummyVecEnv([lambda walk=walk: walk for walk in walks])


def play(venv, steps, seed=0):
    """Random actions; the rewards (T, B) and infos by step."""
    rng = np.random.default_rng(seed)
    rewards, infos = [], []
    for _ in range(steps):
        actions = rng.integers(2, size=venv.num_envs)
        _, reward, _, info = venv.step(actions)
        rewards.append(reward)
        infos.append(info)
    return np.array(rewards), infos


@pytest.mark.parametrize("kind", BY_OBSERVATION)
@pytest.mark.parametrize("expression", ["features", "observation"])
def test_pays_what_plain_loops_pay(kind, expression):
    walks, venv = make_walks(3, kind)
    shaped = ShapedVecEnv(venv, PROGRESS if expression == "features" else BY_OBSERVATION[kind], gamma=GAMMA)
    shaped.reset()
    rewards, _ = play(shaped, 80)
    assert any(step.terminated and step.truncated for walk in walks for step in walk.log)
    np.testing.assert_allclose(rewards, additive([walk.log for walk in walks], GAMMA), atol=1e-6)
    assert rewards.dtype == np.float32


def test_keeps_the_books_and_the_last_parts():
    walks, venv = make_walks(2)
    shaped = ShapedVecEnv(venv, PROGRESS, gamma=GAMMA)
    shaped.reset()
    _rewards, infos = play(shaped, 60)
    reference = additive([walk.log for walk in walks], GAMMA)
    ends = [
        (t, lane)
        for t in range(60)
        for lane in range(2)
        if walks[lane].log[t].terminated or walks[lane].log[t].truncated
    ]
    records = shaped.drain_records()
    assert [record.lane for record in records] == [lane for _, lane in ends]
    assert shaped.drain_records() == []
    for (t, lane), record in zip(ends, records, strict=True):
        log = walks[lane].log
        steps = [i for i in range(t + 1) if log[i].episode == log[t].episode]
        info = infos[t][lane]["shaping_episode"]
        assert info == record.as_info()
        assert info["length"] == len(steps)
        assert info["success"] == log[t].terminated
        assert info["task_return"] == pytest.approx(sum(log[i].reward for i in steps))
        assert info["shaped_return"] == pytest.approx(sum(reference[i, lane] for i in steps))
        assert sum(info["parts"].values()) == pytest.approx(info["shaped_return"])
    assert sum("shaping_episode" in info for step in infos for info in step) == len(ends)
    np.testing.assert_array_equal(shaped.last_task_reward, [walk.log[-1].reward for walk in walks])
    np.testing.assert_allclose(shaped.last_shaped_reward, reference[-1])
    assert set(shaped.reward_parts) == {"task_reward", "toward"}
    np.testing.assert_allclose(sum(shaped.reward_parts.values()), reference[-1])


def test_a_reset_in_the_middle_starts_episodes_anew():
    walks, venv = make_walks(2, cut=0.0)
    shaped = ShapedVecEnv(venv, PROGRESS, gamma=GAMMA)
    shaped.reset()
    first, _ = play(shaped, 2)
    shaped.drain_records()
    shaped.reset()
    assert shaped.engine.clock == 4
    second, infos = play(shaped, 30)
    reference = additive([walk.log for walk in walks], GAMMA)
    np.testing.assert_allclose(np.concatenate([first, second]), reference, atol=1e-6)
    for lane in range(2):
        t = next(t for t in range(30) if "shaping_episode" in infos[t][lane])
        assert infos[t][lane]["shaping_episode"]["length"] == t + 1


class Declaring(Walk):
    """Its declaration is not picklable, as that of a native environment."""

    features = MappingProxyType({"progress": gym.spaces.Box(0.0, 1.0, ())})


def test_in_worker_processes():
    _walks, venv = make_walks(2)
    workers = SubprocVecEnv([partial(Declaring, "box", 0), partial(Declaring, "box", 1)], start_method="fork")
    try:
        outside = ShapedVecEnv(workers, PROGRESS, gamma=GAMMA)
        inside = ShapedVecEnv(venv, PROGRESS, gamma=GAMMA)
        outside.reset()
        inside.reset()
        np.testing.assert_array_equal(play(outside, 30)[0], play(inside, 30)[0])
    finally:
        workers.close()


class Arrays(DummyVecEnv):
    """Gives what happened as arrays, and nothing but the end of episodes in infos."""

    last_step = None

    def reset(self):
        obs = super().reset()
        self.before = self._features(self.reset_infos)
        return obs

    def step_wait(self):
        obs, reward, dones, infos = super().step_wait()
        next_obs = obs.copy()
        for lane in np.flatnonzero(dones):
            next_obs[lane] = infos[lane]["terminal_observation"]
        truncated = np.array([info["TimeLimit.truncated"] for info in infos])
        after = self._features(infos)
        self.last_step = SimpleNamespace(
            next_obs=next_obs,
            terminated=dones & ~truncated,
            truncated=truncated,
            features=self.before,
            next_features=after,
        )
        upcoming = [self.reset_infos[lane] if done else infos[lane] for lane, done in enumerate(dones)]
        self.before = self._features(upcoming)
        return obs, reward, dones, [{} for _ in infos]

    @staticmethod
    def _features(infos):
        return {key: np.array([info[key] for info in infos]) for key in ("progress", "is_success")}


@pytest.mark.parametrize("wrap", [lambda venv: venv, VecMonitor])
def test_arrays_give_the_same_rewards_as_infos(wrap):
    _walks, venv = make_walks(3)
    arrays = Arrays([lambda lane=lane: Walk("box", lane) for lane in range(3)])
    expression = PROGRESS + 0.5 * Potential("obs[0]") + Compare("features.success", ">", 0.5)
    by_info, by_array = (
        ShapedVecEnv(venv, expression, gamma=GAMMA),
        ShapedVecEnv(wrap(arrays), expression, gamma=GAMMA),
    )
    by_info.reset()
    by_array.reset()
    np.testing.assert_array_equal(play(by_array, 60)[0], play(by_info, 60)[0])
    assert by_array.drain_records() == by_info.drain_records()


def test_normalised_observations_are_not_taken_from_the_arrays_beneath():
    arrays = Arrays([lambda: Walk("box", 0)])
    normalised = VecNormalize(arrays, norm_reward=False)
    shaped = ShapedVecEnv(normalised, TaskReward() + Potential("obs[0]"), gamma=GAMMA)
    shaped.reset()
    with pytest.raises(
        ObservationError, match="terminal_observation"
    ):  # from the infos, which Arrays empties
        play(shaped, 60)


def test_measuring_pays_the_task_and_settles_later():
    walks, venv = make_walks(2)
    measuring = MeasuringVecEnv(venv, PROGRESS, capacity=10, gamma=GAMMA)
    measuring.reset()
    rewards, infos = play(measuring, 10)
    np.testing.assert_array_equal(rewards, [[walk.log[t].reward for walk in walks] for t in range(10)])
    assert measuring.unsettled == 10
    assert measuring.drain_records() == []
    settled = measuring.settle()
    np.testing.assert_allclose(settled.shaped, additive([walk.log for walk in walks], GAMMA))
    assert measuring.drain_records() == settled.records
    assert measuring.settle().shaped.shape == (0, 2)
    assert all("shaping_episode" not in info for step in infos for info in step)


def test_measuring_books_steps_that_no_buffer_wants():
    walks, venv = make_walks(1)
    measuring = MeasuringVecEnv(venv, PROGRESS, capacity=4, gamma=GAMMA)
    measuring.reset()
    play(measuring, 50)
    measuring.settle()
    log = walks[0].log
    ended = [step.episode for step in log if step.terminated or step.truncated]
    records = measuring.drain_records()
    assert [record.length for record in records] == [
        sum(s.episode == number for s in log) for number in ended
    ]
    solved = [step.terminated for step in log if step.terminated or step.truncated]
    assert [record.success for record in records] == solved
    assert {True, False} == set(solved)
    returns = [sum(step.reward for step in log if step.episode == number) for number in ended]
    np.testing.assert_allclose([record.task_return for record in records], returns)


def test_an_episodic_expression_needs_hindsight_or_consent():
    walks, venv = make_walks(2)
    expression = gate(Potential("features.progress"), threshold=0.5)
    with pytest.raises(HindsightError, match="wire"):
        ShapedVecEnv(venv, expression, gamma=GAMMA)
    late = ShapedVecEnv(venv, expression, gamma=GAMMA, pay_at_end=True)
    late.reset()
    rewards, _infos = play(late, 40)
    reference = gated([walk.log for walk in walks], toward, 0.5)
    for lane, walk in enumerate(walks):
        for number in {step.episode for step in walk.log}:
            steps = [t for t in range(40) if walk.log[t].episode == number]
            if not np.isnan(reference[steps[-1], lane]):
                assert rewards[steps[-1], lane] == pytest.approx(reference[steps, lane].sum(), abs=1e-6)


def test_a_missing_feature_names_what_there_is():
    _, venv = make_walks(2)
    shaped = ShapedVecEnv(venv, TaskReward() + Potential("features.progres"), gamma=GAMMA)
    with pytest.raises(FeatureError, match="progress"):
        shaped.reset()


def test_a_declared_feature_is_checked_when_bound():
    venv = DummyVecEnv([Declaring])
    with pytest.raises(FeatureError, match="progress"):
        ShapedVecEnv(venv, TaskReward() + Potential("features.progres"), gamma=GAMMA)


def test_stepping_before_reset_is_an_error():
    _, venv = make_walks(1)
    with pytest.raises(WiringError, match="reset"):
        ShapedVecEnv(venv, PROGRESS, gamma=GAMMA).step(np.zeros(1, dtype=int))
