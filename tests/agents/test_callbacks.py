"""Callbacks: what they log is what a plain loop over the stream of steps adds up."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from shapegym.agents.algorithms.registry import ALGORITHMS
from shapegym.agents.callbacks import (
    ALARMS_FILE,
    BEST_MODEL_FILE,
    EPISODES_FILE,
    EVALUATIONS_FILE,
    EvaluationCallback,
    ShapingCallback,
)
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import MetricsFileError, SettingsError
from shapegym.agents.evaluation import evaluate
from shapegym.agents.factory import make_agent
from shapegym.agents.metrics import read_json_lines
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.states.functions import Read
from shapegym.shaping.surfaces.sb3_vec import ShapedVecEnv
from shapegym.shaping.terms.events import Compare
from shapegym.shaping.terms.potential import Potential

register_all()

KNOBS = {"length": 4, "max_steps": 6, "slip": 0.2}
GAMMA = 0.9
REWARD = TaskReward() + (0.5 * Potential(Read("features.state"))).named("nearer")
SMALL = {
    "PPO": {"n_steps": 16, "batch_size": 16},
    "DQN": {"learning_starts": 20, "buffer_size": 500, "batch_size": 16, "train_freq": 4},
}


class Tape(VecEnvWrapper):
    """Writes every step down."""

    def __init__(self, venv):
        super().__init__(venv)
        self.steps = []

    def reset(self):
        self.obs = self.venv.reset()
        return self.obs

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, done, infos = self.venv.step_wait()
        self.steps.append((self.obs, obs, reward.copy(), done, infos))
        self.obs = obs
        return obs, reward, done, infos


class Kept(KVWriter):
    """A logger that remembers what was dumped."""

    def __init__(self):
        self.dumps = []

    def write(self, key_values, key_excluded, step=0):
        self.dumps.append((step, dict(key_values)))

    def close(self):
        pass


def plain_episodes(steps, num_envs, shaped):
    """The rows of episodes.jsonl, added up in plain loops."""
    rows = []
    sums = [{"task": 0.0, "nearer": 0.0, "length": 0} for _ in range(num_envs)]
    for count, (obs, next_obs, reward, done, infos) in enumerate(steps, start=1):
        for lane in range(num_envs):
            truncated = infos[lane].get("TimeLimit.truncated", False)
            successor = infos[lane]["terminal_observation"] if done[lane] else next_obs[lane]
            after = 0.0 if done[lane] and not truncated else float(np.argmax(successor))
            sums[lane]["task"] += float(reward[lane])
            sums[lane]["nearer"] += 0.5 * (GAMMA * after - float(np.argmax(obs[lane])))
            sums[lane]["length"] += 1
            if done[lane]:
                row = sums[lane]
                nearer = row["nearer"] if shaped else 0.0
                rows.append(
                    {
                        "step": count * num_envs,
                        "lane": lane,
                        "length": row["length"],
                        "task_return": row["task"],
                        "shaped_return": row["task"] + nearer,
                        "success": not truncated,
                        "parts": {"task_reward": row["task"], "nearer": nearer} if shaped else {},
                    }
                )
                sums[lane] = {"task": 0.0, "nearer": 0.0, "length": 0}
    return rows


def assert_rows(rows, wanted):
    order = sorted(rows, key=lambda row: (row["step"], row["lane"]))
    assert len(order) == len(wanted) > 5
    for row, expected in zip(order, wanted, strict=True):
        parts, expected_parts = row.pop("parts"), expected.pop("parts")
        assert row == {key: pytest.approx(value) for key, value in expected.items()}
        assert parts == pytest.approx(expected_parts)


@pytest.mark.parametrize("algo", ["PPO", "DQN"])
@pytest.mark.parametrize("reward", [REWARD, None], ids=["shaped", "plain"])
def test_rows_equal_the_plain_loop(tmp_path, algo, reward):
    tape = Tape(make_vec_env("shapegym/Corridor-v0", 2, seed=0, **KNOBS))
    model = make_agent(algo, tape, reward, seed=0, gamma=GAMMA, **SMALL[algo])
    callback = ShapingCallback(tmp_path)
    model.learn(192, callback=callback)
    rows = read_json_lines(tmp_path / EPISODES_FILE)
    wanted = plain_episodes(tape.steps, 2, shaped=reward is not None)
    solved = [row["step"] for row in wanted if row["success"]]
    assert callback.steps_to_first_success == min(solved)
    assert_rows(rows, wanted)


def test_an_environment_that_pays_shaped_rewards_is_booked_by_its_surface(tmp_path):
    tape = Tape(DummyVecEnv([lambda: gym.make("shapegym/Corridor-v0", **KNOBS)] * 2))
    model = ALGORITHMS["A2C"]("MlpPolicy", ShapedVecEnv(tape, REWARD, gamma=GAMMA), gamma=GAMMA, seed=0)
    model.learn(100, callback=ShapingCallback(tmp_path))
    assert_rows(read_json_lines(tmp_path / EPISODES_FILE), plain_episodes(tape.steps, 2, shaped=True))


def test_the_logger_gets_means_over_the_episodes_since_its_last_dump(tmp_path):
    model = make_agent(
        "PPO", make_vec_env("shapegym/Corridor-v0", 2, seed=0, **KNOBS), REWARD, seed=0, **SMALL["PPO"]
    )
    kept = Kept()
    model.set_logger(Logger(None, [kept]))
    model.learn(96, callback=ShapingCallback(tmp_path))
    rows = read_json_lines(tmp_path / EPISODES_FILE)
    assert [step for step, _ in kept.dumps] == [32, 64, 96]
    for step, values in kept.dumps:
        recent = [row for row in rows if step - 32 < row["step"] <= step]
        assert values["task/return"] == pytest.approx(np.mean([row["task_return"] for row in recent]))
        assert values["task/success_rate"] == pytest.approx(np.mean([row["success"] for row in recent]))
        assert values["task/episode_length"] == pytest.approx(np.mean([row["length"] for row in recent]))
        assert values["shaping/return"] == pytest.approx(np.mean([row["shaped_return"] for row in recent]))
        for name in ("task_reward", "nearer"):
            wanted = np.mean([row["parts"][name] for row in recent])
            assert values[f"shaping/part/{name}"] == pytest.approx(wanted)


def test_a_resumed_run_goes_on_in_the_same_file_and_a_new_one_does_not(tmp_path):
    model = make_agent(
        "PPO", make_vec_env("shapegym/Corridor-v0", 2, seed=0, **KNOBS), REWARD, seed=0, **SMALL["PPO"]
    )
    model.learn(64, callback=ShapingCallback(tmp_path))
    first = read_json_lines(tmp_path / EPISODES_FILE)
    later = ShapingCallback(tmp_path)
    model.learn(64, callback=later, reset_num_timesteps=False)
    rows = read_json_lines(tmp_path / EPISODES_FILE)
    assert rows[: len(first)] == first
    assert 64 < rows[-1]["step"] <= 128
    assert later.steps_to_first_success == min(row["step"] for row in first if row["success"])
    with pytest.raises(MetricsFileError, match="another run"):
        model.learn(64, callback=ShapingCallback(tmp_path))


def test_without_reward_and_monitor_there_is_nothing_to_log():
    from shapegym.envs.registration import make_env

    single = DummyVecEnv([lambda: make_env("shapegym.envs.tabular.corridor:corridor", length=2)])
    model = make_agent("PPO", single, n_steps=16, batch_size=16)
    with pytest.raises(SettingsError, match="Monitor"):
        model.learn(100, callback=ShapingCallback())


def test_evaluations_are_written_and_the_best_model_is_kept(tmp_path):
    model = make_agent(
        "PPO", make_vec_env("shapegym/Corridor-v0", 2, seed=0, **KNOBS), REWARD, seed=0, **SMALL["PPO"]
    )
    callback = EvaluationCallback(
        make_vec_env("shapegym/Corridor-v0", 3, **KNOBS), 40, episodes=5, folder=tmp_path
    )
    model.learn(128, callback=callback)
    rows = read_json_lines(tmp_path / EVALUATIONS_FILE)
    assert [row["step"] for row in rows] == [40, 80, 120]
    assert rows == [{"step": step, **result.as_row()} for step, result in callback.evaluations]
    best = max(callback.evaluations, key=lambda entry: entry[1].score)[1]
    loaded = ALGORITHMS["PPO"].load(tmp_path / BEST_MODEL_FILE)
    again = evaluate(loaded, make_vec_env("shapegym/Corridor-v0", 3, **KNOBS), 5, seed=callback.seed)
    assert again.score == best.score


def test_evaluating_does_not_change_the_run():
    def run(callback):
        venv = make_vec_env("shapegym/Corridor-v0", 2, seed=0, **KNOBS)
        return make_agent("PPO", venv, REWARD, seed=0, **SMALL["PPO"]).learn(96, callback=callback).policy

    other = make_vec_env("shapegym/Corridor-v0", 3, **KNOBS)
    evaluating = EvaluationCallback(other, 32, episodes=3, deterministic=False)
    for one, other in zip(run(None).parameters(), run(evaluating).parameters(), strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())


def test_an_interval_below_one_step_is_refused():
    with pytest.raises(SettingsError, match="every"):
        EvaluationCallback("shapegym/Corridor-v0", 0)


def farming_run(folder, steps: int):
    """A corridor whose start pays at every step, more than its end."""
    farmed = TaskReward() + (0.5 * Compare("features.state", "<=", 1)).named("rent")
    venv = make_vec_env("shapegym/Corridor-v0", 16, seed=0, length=5)
    model = make_agent("PPO", venv, farmed, seed=0, n_steps=64, learning_rate=1e-2)
    callback, kept = ShapingCallback(folder), Kept()
    model.set_logger(Logger(None, [kept]))
    model.learn(steps, callback=callback)
    return model, callback, kept


def test_alarms_go_to_the_log_the_logger_and_a_file(tmp_path, caplog) -> None:
    _, callback, kept = farming_run(tmp_path, 16_384)
    assert callback.alarms
    rows = read_json_lines(tmp_path / ALARMS_FILE)
    assert [(row["kind"], row["step"]) for row in rows] == [
        (each.kind, each.step) for each in callback.alarms
    ]
    assert [record.name for record in caplog.records] == ["shapegym"] * len(rows)
    assert all(f"At step {row['step']:,}: {row['message']}." in caplog.text for row in rows)
    assert kept.dumps[-1][1][f"alarm/{rows[0]['kind']}"] == 1


def test_a_resumed_run_sounds_the_same_alarms_once(tmp_path) -> None:
    _, callback, _ = farming_run(tmp_path, 16_384)
    written = (tmp_path / ALARMS_FILE).read_text()
    (tmp_path / ALARMS_FILE).unlink()
    again = ShapingCallback(tmp_path)
    model, _, _ = farming_run(None, 64)
    model.num_timesteps, model._total_timesteps = 16_384, 16_384
    again.init_callback(model)
    again.on_training_start({}, {})
    assert again.alarms == callback.alarms
    assert (tmp_path / ALARMS_FILE).read_text() == written


def test_without_a_wired_reward_there_is_nothing_to_watch(tmp_path) -> None:
    callback = ShapingCallback(tmp_path)
    make_agent("PPO", make_vec_env("shapegym/Corridor-v0", 2, seed=0), n_steps=64, batch_size=64).learn(
        256, callback=callback
    )
    assert callback.alarms == []
    assert not (tmp_path / ALARMS_FILE).exists()
