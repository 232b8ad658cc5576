import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_reference import Walk, additive, gated, potential
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from shapegym.shaping.algebra import Constant, TaskReward, clip
from shapegym.shaping.combinators.advice import look_ahead_advice
from shapegym.shaping.combinators.elementwise import when
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.groups import group_relative
from shapegym.shaping.errors import HindsightError, WiringError
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.schedules import Linear, anneal

torch.set_num_threads(1)
GAMMA = 0.9
STEPS = 16
PROGRESS = TaskReward() + Potential("features.progress")
SMALL = {"n_steps": STEPS, "gamma": GAMMA, "seed": 0, "device": "cpu"}
PPO_SMALL = {**SMALL, "batch_size": 8, "n_epochs": 1}
NET = {"policy_kwargs": {"net_arch": [4]}}


def toward(step):
    return potential(step, GAMMA)


def make_walks(count=2, kind="box", **kwargs):
    walks = [Walk(kind, lane, **kwargs) for lane in range(count)]
    return walks, DummyVecEnv([lambda walk=walk: walk for walk in walks])


class Rollouts(BaseCallback):
    """Keeps the rewards of every rollout, and what SB3 must have added for truncations."""

    def __init__(self):
        super().__init__()
        self.rewards, self.bootstraps = [], []
        self._bootstrap = []

    def _on_step(self):
        row = np.zeros(self.training_env.num_envs)
        for lane, info in enumerate(self.locals["infos"]):
            if info["TimeLimit.truncated"] and not isinstance(self.model, RecurrentPPO):
                obs = self.model.policy.obs_to_tensor(info["terminal_observation"])[0]
                with torch.no_grad():
                    row[lane] = GAMMA * self.model.policy.predict_values(obs).item()
        self._bootstrap.append(row)
        return True

    def _on_rollout_end(self):
        self.rewards.append(self.model.rollout_buffer.rewards.copy())
        self.bootstraps.append(np.array(self._bootstrap))
        self._bootstrap = []


def learn(model, rollouts=3):
    callback = Rollouts()
    model.learn(rollouts * STEPS * model.n_envs, callback=callback)
    return np.concatenate(callback.rewards), np.concatenate(callback.bootstraps)


@pytest.mark.parametrize("kind", ["box", "dict", "discrete"])
@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_rollouts_hold_the_shaped_rewards_and_sb3s_bootstrap(algorithm, kind):
    walks, venv = make_walks(kind=kind)
    policy = "MultiInputPolicy" if kind == "dict" else "MlpPolicy"
    model = algorithm(policy, venv, **(PPO_SMALL if algorithm is PPO else SMALL), **NET)
    assert wire(model, PROGRESS) is model
    rewards, bootstraps = learn(model)
    assert bootstraps.any()
    np.testing.assert_allclose(rewards, additive([walk.log for walk in walks], GAMMA) + bootstraps, atol=1e-6)
    assert engine_of(model).spec.gamma == GAMMA


def test_advantages_are_those_of_the_shaped_rewards():
    walks, venv = make_walks(cut=0.0)
    model = wire(PPO("MlpPolicy", venv, **PPO_SMALL, gae_lambda=0.8, **NET), PROGRESS)
    model.learn(STEPS * 2)  # one rollout; the buffer still holds it, flattened lane by lane
    buffer = model.rollout_buffer
    rewards = additive([walk.log for walk in walks], GAMMA)
    values = buffer.values.reshape(2, STEPS).T
    starts = np.array([[step.first for step in walk.log] for walk in walks]).T
    advantages = np.zeros((STEPS, 2))
    last = np.zeros(2)
    for t in reversed(range(STEPS - 1)):
        alive = 1.0 - starts[t + 1]
        delta = rewards[t] + GAMMA * values[t + 1] * alive - values[t]
        if t == STEPS - 2:  # the last step's bootstrap is SB3's business: take its advantage as given
            last = buffer.advantages.reshape(2, STEPS).T[STEPS - 1]
        last = delta + GAMMA * 0.8 * alive * last
        advantages[t] = last
    np.testing.assert_allclose(buffer.advantages.reshape(2, STEPS).T[:-1], advantages[:-1], atol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "policy"),
    [
        (RecurrentPPO, "MlpLstmPolicy"),
        (RecurrentPPO, "MultiInputLstmPolicy"),
        (MaskablePPO, "MlpPolicy"),
        (MaskablePPO, "MultiInputPolicy"),
    ],
)
def test_contributed_algorithms(algorithm, policy):
    walks, venv = make_walks(kind="dict" if policy.startswith("Multi") else "box", cut=0.0)
    size = {"lstm_hidden_size": 4} if algorithm is RecurrentPPO else {}
    model = algorithm(policy, venv, **PPO_SMALL, policy_kwargs={"net_arch": [4], **size})
    rewards, _ = learn(wire(model, PROGRESS), 2)
    np.testing.assert_allclose(rewards, additive([walk.log for walk in walks], GAMMA), atol=1e-6)


def test_a_gate_pays_an_episode_once_however_rollouts_cut_it():
    walks, venv = make_walks(3)
    model = wire(
        PPO("MlpPolicy", venv, **PPO_SMALL, **NET), gate(Potential("features.progress"), threshold=0.5)
    )
    rewards, bootstraps = learn(model, 4)
    paid = rewards - bootstraps
    logs = [walk.log for walk in walks]
    reference = gated(logs, toward, 0.5)
    cut = within = 0
    for lane, log in enumerate(logs):
        for number in {step.episode for step in log}:
            steps = [t for t, step in enumerate(log) if step.episode == number]
            if np.isnan(reference[steps[-1], lane]):
                continue
            assert paid[steps, lane].sum() == pytest.approx(reference[steps, lane].sum(), abs=1e-5)
            if steps[0] // STEPS == steps[-1] // STEPS:
                np.testing.assert_allclose(paid[steps, lane], reference[steps, lane], atol=1e-5)
                within += 1
            else:
                cut += 1
    assert cut
    assert within
    records = model.env.drain_records()
    assert len(records) == cut + within


def test_the_books_do_not_depend_on_the_rollouts_length():
    def records(n_steps):
        _walks, venv = make_walks(2)
        model = A2C("MlpPolicy", venv, **{**SMALL, "n_steps": n_steps}, learning_rate=0.0, **NET)
        wire(model, gate(Potential("features.progress"), threshold=0.5)).learn(96)
        return [(r.lane, r.length, r.task_return, r.success, r.clock) for r in model.env.drain_records()]

    assert sorted(records(4)) == sorted(records(24))


def test_terms_see_observations_as_the_environment_gives_them():
    walks, venv = make_walks()
    wrapped = VecFrameStack(VecNormalize(venv, norm_reward=False), 2)
    model = wire(PPO("MlpPolicy", wrapped, **PPO_SMALL, **NET), TaskReward() + Potential("obs[0]"))
    rewards, bootstraps = learn(model)
    np.testing.assert_allclose(rewards, additive([walk.log for walk in walks], GAMMA) + bootstraps, atol=1e-5)


def test_the_task_reward_of_a_schedule_is_that_of_its_step():
    walks, venv = make_walks(cut=0.0)
    model = wire(
        PPO("MlpPolicy", venv, **PPO_SMALL, **NET), TaskReward() + Constant(1.0) * Linear(1.0, 0.0, 64)
    )
    rewards, _ = learn(model, 2)
    weights = 1.0 - np.arange(0, 2 * STEPS * 2, 2) / 64
    task = np.array([[step.reward for step in walk.log] for walk in walks]).T
    np.testing.assert_allclose(rewards, task + weights[:, None], atol=1e-6)


def test_monitors_and_evaluation_report_the_task():
    from stable_baselines3.common.monitor import Monitor

    walk = Walk(cut=0.0)
    model = wire(PPO("MlpPolicy", Monitor(walk), **PPO_SMALL, **NET), TaskReward() + 100.0)
    model.learn(3 * STEPS)
    assert max(episode["r"] for episode in model.ep_info_buffer) <= 1.0
    mean, _ = evaluate_policy(model, model.get_env(), n_eval_episodes=3)
    assert mean <= 1.0
    model.learn(STEPS)  # an evaluation on the training environment is booked, and does no harm


def test_steps_that_the_buffer_does_not_see_are_an_error():
    class Steps(BaseCallback):
        def _on_step(self):
            if self.n_calls == 3:
                self.training_env.step(np.zeros(2, dtype=int))
            return True

    _, venv = make_walks()
    model = wire(PPO("MlpPolicy", venv, **PPO_SMALL, **NET), PROGRESS)
    with pytest.raises(WiringError, match="Do not step the training environment"):
        model.learn(STEPS * 2, callback=Steps())


def test_a_reward_edited_by_a_callback_is_an_error():
    class Edits(BaseCallback):
        def _on_step(self):
            self.locals["rewards"] += 1000
            return True

    _, venv = make_walks()
    model = wire(PPO("MlpPolicy", venv, **PPO_SMALL, **NET), PROGRESS)
    with pytest.raises(WiringError, match="callback"):
        model.learn(STEPS * 2, callback=Edits())


def test_a_rollout_aborted_by_a_callback_is_booked_and_learning_can_go_on():
    class Stops(BaseCallback):
        def _on_step(self):
            return self.n_calls < 20

    walks, venv = make_walks()
    model = wire(PPO("MlpPolicy", venv, **PPO_SMALL, **NET), PROGRESS)
    model.learn(STEPS * 8, callback=Stops())
    callback = Rollouts()
    model.learn(STEPS * 2, callback=callback, reset_num_timesteps=False)
    reference = additive([walk.log for walk in walks], GAMMA)
    np.testing.assert_allclose(callback.rewards[0] - callback.bootstraps[0], reference[20:36], atol=1e-5)
    ended = sum(step.terminated or step.truncated for walk in walks for step in walk.log)
    assert len(model.env.drain_records()) == ended


def test_a_saved_model_is_wired_again(tmp_path):
    _walks, venv = make_walks()
    model = wire(PPO("MlpPolicy", venv, **PPO_SMALL, **NET), PROGRESS)
    model.learn(STEPS * 2)
    model.save(tmp_path / "model")
    fresh, venv = make_walks(cut=0.0)
    loaded = wire(PPO.load(tmp_path / "model", env=venv), PROGRESS)
    rewards, _ = learn(loaded, 1)
    np.testing.assert_allclose(rewards, additive([walk.log for walk in fresh], GAMMA), atol=1e-6)


def test_pretrained_without_shaping_then_shaped_goes_on():
    walks, venv = make_walks(cut=0.0)
    model = PPO("MlpPolicy", venv, **PPO_SMALL, **NET)
    model.learn(STEPS * 2)
    wire(model, PROGRESS).learn(STEPS * 2, reset_num_timesteps=False)
    rewards = model.rollout_buffer.rewards
    np.testing.assert_allclose(rewards, additive([walk.log[STEPS:] for walk in walks], GAMMA), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        clip,
        lambda held: anneal(held, Linear(1, 0, 100_000)),
        lambda held: when(TaskReward(), held),
        lambda held: held * 2.0,
    ],
    ids=["clip", "anneal", "when", "scale"],
)
def test_what_a_gate_holds_back_is_not_changed_later(change, request):
    """Clipping the sum of what was held back would pay less the shorter rollouts are."""
    model = PPO("MlpPolicy", make_walks()[1], **PPO_SMALL, **NET)
    expression = TaskReward() + change(gate(Constant(1.0), threshold=0.5))
    if "scale" in request.node.name:
        wire(model, expression)
    else:
        with pytest.raises(HindsightError, match="depend on n_steps"):
            wire(model, expression)
        assert type(model.rollout_buffer) is RolloutBuffer


@pytest.mark.parametrize(
    "around",
    [
        lambda advice: gate(advice, threshold=0.5),
        lambda advice: gate(Constant(1.0), advice, threshold=0.5),
        group_relative,
    ],
    ids=["gated", "outcome", "group"],
)
def test_the_plain_sum_of_look_ahead_advice_is_not_what_an_episode_is_judged_by(around):
    """A cut moves gamma * v one step back in time: the discounted sum stays, the plain sum grows by (1 - gamma) v."""
    advice = look_ahead_advice(["features.progress", "features.progress"], GAMMA)
    model = PPO("MlpPolicy", make_walks()[1], **PPO_SMALL, **NET)
    with pytest.raises(HindsightError, match="depend on n_steps"):
        wire(model, around(advice))
    assert type(model.rollout_buffer) is RolloutBuffer
    wire(model, TaskReward() + advice)
