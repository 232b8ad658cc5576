"""PPO with two value heads: its advantages are those of plain loops, and its streams those of the expression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sb3_reference import Walk, potential
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv
from two_heads_reference import advantages

from shapegym.agents.algorithms.two_heads import TwoHeadPPO
from shapegym.agents.errors import SettingsError
from shapegym.agents.evaluation import evaluate
from shapegym.agents.factory import make_agent
from shapegym.agents.threads import torch_threads
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward, clip
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.combinators.logged import Logged
from shapegym.shaping.errors import NonFiniteError
from shapegym.shaping.states.functions import Read
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.team import TeamMean
from shapegym.shaping.weights.normalize import normalize

register_all()

TASK = TaskReward()
PROGRESS = StateReward(Read("features.progress"))
STEPS, LANES = 24, 2
SMALL = {"n_steps": STEPS, "batch_size": 16, "n_epochs": 2, "gae_lambda": 0.9, "seed": 0, "device": "cpu"}
NETS = {"box": {"net_arch": [8]}, "dict": {"net_arch": [8]}, "image": {"net_arch": []}}


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


class Seen(TwoHeadPPO):
    """Keeps what each rollout was: rewards of the heads, advantages before (SB3's) and after, the critic, what is seen next."""

    def learn(self, *args, **kwargs):
        self.seen = []
        return super().learn(*args, **kwargs)

    def _credit(self):
        of_sb3 = self.rollout_buffer.advantages.copy()
        super()._credit()
        buffer = self.rollout_buffer
        self.seen.append(
            {
                "rewards": self._rewards(),
                "of_sb3": of_sb3,
                "by_head": buffer.returns - buffer.values,
                "mixed": buffer.advantages.copy(),
                "critic": {name: value.clone() for name, value in self.policy.state_dict().items()},
                "last_obs": self._last_obs.copy(),
            }
        )

    def _excluded_save_params(self):
        return [*super()._excluded_save_params(), "seen"]


def walked(reward, rollouts=3, kind="box", **settings):
    """A model that has learned from some rollouts, and the steps of each, lane by lane."""
    walks = [Walk(kind, lane) for lane in range(LANES)]
    envs = DummyVecEnv([lambda walk=walk: walk for walk in walks])
    policy = {"box": "MlpPolicy", "dict": "MultiInputPolicy", "image": "CnnPolicy"}[kind]
    model = Seen(policy, envs, policy_kwargs=NETS[kind], **{**SMALL, **settings})
    if reward is not None:
        wire(model, reward)
    model.learn(rollouts * STEPS * LANES)
    return model, [
        [walk.log[begin : begin + STEPS] for walk in walks] for begin in range(0, rollouts * STEPS, STEPS)
    ]


def in_lanes(log, values):
    """(T, B, ...) of what a function makes of every step."""
    return np.array([[values(step) for step in lane] for lane in log]).swapaxes(0, 1)


@pytest.mark.parametrize("bonus_gamma", [0.0, 0.7, 0.99])
@pytest.mark.parametrize("episodic", [True, False])
def test_advantages_are_those_of_plain_loops(episodic, bonus_gamma):
    settings = {"bonus_gamma": bonus_gamma, "bonus_episodic": episodic, "gamma": 0.8}
    model, logs = walked(TASK + 0.5 * PROGRESS, rollouts=8, **settings)
    ends = [
        (step.terminated, step is lane[-1]) for log in logs for lane in log for step in lane if ended(step)
    ]
    assert set(ends) == {(True, True), (True, False), (False, True), (False, False)}

    def value(head):
        def of(obs):
            with torch.no_grad():
                return float(model.policy.part_values(torch.as_tensor(obs)[None])[0, head])

        return of

    for log, seen in zip(logs, model.seen, strict=True):
        model.policy.load_state_dict(seen["critic"])
        for number, lane in enumerate(log):
            streams = [
                ([step.reward for step in lane], 0.8, True),
                ([0.5 * step.next_progress for step in lane], bonus_gamma, episodic),
            ]
            task, bonus = (
                advantages(lane, paid, value(head), seen["last_obs"][number], gamma, 0.9, episodic=ends)
                for head, (paid, gamma, ends) in enumerate(streams)
            )
            np.testing.assert_allclose(seen["by_head"][:, number].T, [task, bonus], rtol=1e-4, atol=1e-5)
            mixed = 2 * np.array(task) + np.array(bonus)
            np.testing.assert_allclose(seen["mixed"][:, number], mixed, rtol=1e-4, atol=1e-4)
    first, last = (model.seen[place]["critic"]["value_net.weight"] for place in (0, -1))
    assert not torch.equal(first, last)  # it learned


def ended(step):
    return step.terminated or step.truncated


def test_with_one_discount_and_weights_of_one_it_is_ppo_on_the_sum():
    same = {"gamma": 0.9, "bonus_gamma": 0.9, "bonus_episodic": True, "task_weight": 1.0, "bonus_weight": 1.0}
    model, logs = walked(TASK + PROGRESS, **same)
    assert any(step.truncated and not step.terminated for log in logs for lane in log for step in lane)
    for seen in model.seen:
        np.testing.assert_allclose(seen["mixed"], seen["of_sb3"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("reward", "task", "bonus"),
    [
        (None, 1.0, 0.0),
        (TASK, 1.0, 0.0),
        (PROGRESS, 0.0, 1.0),
        (TASK + PROGRESS + Logged(TASK), 1.0, 1.0),
        (0.5 * (TASK + PROGRESS), 0.5, 0.5),
        (0.5 * TASK - 2.0 * PROGRESS, 0.5, -2.0),
        (gate(PROGRESS, threshold=-np.inf), 1.0, 1.0),
    ],
)
def test_streams_are_what_the_expression_pays(reward, task, bonus):
    model, logs = walked(reward)
    assert model._cuts.found
    for log, seen in zip(logs, model.seen, strict=True):
        wanted = in_lanes(log, lambda step: (task * step.reward, bonus * step.next_progress))
        np.testing.assert_allclose(seen["rewards"], wanted, rtol=1e-6, atol=1e-7)
    weights = model.policy.head_weights.numpy()
    assert weights.tolist() == [2.0 if task else 0.0, 1.0 if bonus else 0.0]


def test_a_normalised_task_is_the_tasks():
    model, _ = walked(normalize(TASK, center=True) + PROGRESS)
    of_task, bonus = np.moveaxis(model.seen[-1]["rewards"], -1, 0)
    settled = model.rollout_buffer.settled
    np.testing.assert_allclose(of_task, settled.contributions[0], rtol=1e-6)
    np.testing.assert_allclose(bonus, settled.contributions[1], rtol=1e-6)


def test_without_a_reward_it_learns_as_from_the_task_reward():
    plain, _ = walked(None)
    wired, _ = walked(TASK)
    for name, value in plain.policy.state_dict().items():
        assert torch.equal(value, wired.policy.state_dict()[name])


@pytest.mark.parametrize("kind", ["dict", "image"])
def test_observations_of_any_kind(kind, tmp_path):
    """Also: what Stable-Baselines3 saves acts and learns as before."""
    model, _ = walked(TASK + PROGRESS, rollouts=1, kind=kind)
    model.save(tmp_path / "model")
    envs = DummyVecEnv([lambda: Walk(kind)] * LANES)
    loaded = Seen.load(tmp_path / "model", env=envs)
    obs = envs.reset()
    assert np.array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    assert loaded.policy.num_parts == 2
    wire(loaded, TASK + PROGRESS).learn(STEPS * LANES)
    parameters = model.get_parameters()
    loaded.set_parameters(parameters)
    for name, value in parameters["policy"].items():
        assert torch.equal(value, loaded.get_parameters()["policy"][name])


def test_evaluation_sees_the_task_alone():
    model = make_agent("TwoHeadPPO", "shapegym/Corridor-v0", 100.0 * CountBonus("obs"), seed=0, n_steps=16)
    model.learn(256)
    assert evaluate(model, "shapegym/Corridor-v0", 4).returns.max() <= 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bonus_gamma": -0.1}, "bonus_gamma"),
        ({"bonus_gamma": 1.5}, "bonus_gamma"),
        ({"bonus_gamma": np.nan}, "bonus_gamma"),
        ({"bonus_gamma": "0.9"}, "bonus_gamma"),
        ({"bonus_gamma": 1.0}, "no finite value"),
        ({"bonus_episodic": "yes"}, "bonus_episodic"),
        ({"bonus_episodic": 2}, "bonus_episodic"),
        ({"task_weight": -1.0}, "task_weight"),
        ({"bonus_weight": np.inf}, "bonus_weight"),
        ({"bonus_weight": None}, "bonus_weight"),
        ({"task_weight": 0.0, "bonus_weight": 0}, "both 0"),
        ({"policy": "MlpLstmPolicy"}, "no policy 'MlpLstmPolicy'"),
        ({"int_gamma": 0.9}, "no hyper-parameter 'int_gamma'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        make_agent("TwoHeadPPO", "shapegym/Corridor-v0", TASK + PROGRESS, **settings)


def test_a_policy_with_one_head_is_refused():
    with pytest.raises(SettingsError, match="no memory; got ActorCriticPolicy"):
        TwoHeadPPO(ActorCriticPolicy, DummyVecEnv([Walk]))


@pytest.mark.parametrize(
    ("reward", "settings", "message"),
    [
        (clip(TASK + PROGRESS), {}, "TwoHeadPPO: Clip is no sum"),
        (TASK * PROGRESS, {}, "TwoHeadPPO: Product is no sum"),
        (TASK, {"task_weight": 0.0}, "pays no bonus"),
        (None, {"task_weight": 0.0}, "pays no bonus"),
        (PROGRESS, {"bonus_weight": 0.0}, "pays no task"),
    ],
)
def test_rewards_it_cannot_learn_from_are_refused(reward, settings, message):
    with pytest.raises(SettingsError, match=message):
        walked(reward, **settings)


def test_an_environment_that_pays_both_as_one_is_refused():
    model = TwoHeadPPO(
        "MlpPolicy", wire(DummyVecEnv([Walk]), TASK + PROGRESS, gamma=0.9), **{**SMALL, "n_steps": 32}
    )
    with pytest.raises(SettingsError, match="pays both as one"):
        model.learn(STEPS)


def test_potentials_are_learned_with_the_task_whose_discount_they_have():
    model, logs = walked(0.5 * (TASK + Potential("features.progress") + PROGRESS), gamma=0.9)
    for log, seen in zip(logs, model.seen, strict=True):
        wanted = in_lanes(
            log, lambda step: (0.5 * (step.reward + potential(step, 0.9)), 0.5 * step.next_progress)
        )
        np.testing.assert_allclose(seen["rewards"], wanted, rtol=1e-5, atol=1e-6)


def test_a_stream_that_no_float32_holds_is_named():
    """Though their sum is one."""
    with pytest.raises(NonFiniteError, match="does not fit into the float32"):
        walked(1e39 * TASK - 1e39 * TeamMean(TASK))
