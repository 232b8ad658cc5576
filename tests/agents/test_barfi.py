"""BARFI in torch: the hyper-gradient against re-solved inner problems, episodes across rollouts, and what it refuses."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

from shapegym.agents.algorithms import barfi
from shapegym.agents.algorithms.barfi import BARFI
from shapegym.agents.algorithms.bilevel.episodes import (
    EpisodeBatch,
    EpisodeBuffer,
    Steps,
    StoredEpisode,
    joined,
)
from shapegym.agents.algorithms.bilevel.hypergradient import HyperGradient, implicit, unrolled
from shapegym.agents.algorithms.bilevel.objectives import (
    Inner,
    advantages,
    importance,
    inner_objective,
    inner_weights,
    outer_objective,
    returns,
)
from shapegym.agents.algorithms.bilevel.outer import LearnedReward
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import SettingsError
from shapegym.agents.factory import make_agent
from shapegym.agents.threads import torch_threads
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.surfaces.findings import check_wiring
from shapegym.shaping.surfaces.wiring import engine_of, wire
from shapegym.shaping.terms.goals import StateReward
from shapegym.shaping.transitions import Spec
from shapegym.shaping.weights.blend import LearnedWeight, blend
from shapegym.shaping.weights.normalize import RunningScale

STATES, ACTIONS, HORIZON = 4, 3, 8
TINY = {"n_steps": 32, "n_updates": 3, "warmup": 0, "policy_kwargs": {"net_arch": [8]}}
PLACE = StateReward("features.state").named("place")


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


# ---------------------------------------------------------------------- the hyper-gradient


def linear_softmax(theta, obs, actions):
    """A linear softmax policy on one-hot states."""
    log_pi = torch.log_softmax(obs @ theta.view(STATES, ACTIONS), dim=1)
    return log_pi.gather(1, actions[:, None])[:, 0], -(log_pi.exp() * log_pi).sum(1)


def random_episodes(rng, number):
    """Episodes of a uniform policy; the task pays in one state, the heuristic anywhere."""
    payment = rng.normal(size=(STATES, ACTIONS))
    episodes = []
    for _ in range(number):
        length = int(rng.integers(3, HORIZON + 1))
        state, action = rng.integers(0, STATES, length), rng.integers(0, ACTIONS, length)
        task = ((state == 0) & (action == 1)).astype(float)
        parts = np.stack([task, np.ones(length), payment[state, action], np.ones(length), np.ones(length)], 1)
        steps = Steps(
            np.eye(STATES)[state],
            action,
            np.full(length, -math.log(ACTIONS)),
            task,
            parts,
            state[:, None] * 1.0,
        )
        episodes.append(StoredEpisode(steps, 0))
    return episodes


class TinyProblem:
    """The inner problem of a linear softmax policy, solved to the end by Newton's method."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        bias = LearnedWeight("bias", 0.0, "table", "features.state", STATES, name="weight_bias")
        expression = blend(TaskReward(), PLACE, bias=None) + bias
        spec = Spec(1, spaces.Box(-1, 1, (STATES,)), spaces.Discrete(ACTIONS))
        self.reward = LearnedReward(RewardEngine(expression, spec))
        assert self.reward.engine.term_names == (
            "task_reward",
            "weight_task_reward",
            "place",
            "weight_place",
            "weight_bias",
        )
        self.batch, self.fresh = (
            EpisodeBatch.of(random_episodes(rng, 40)),
            EpisodeBatch.of(random_episodes(rng, 40)),
        )
        self.constants = Inner(shift=1.0, entropy=0.05, weight_decay=0.1, ratio=2.0)
        self.anchor = torch.zeros(STATES * ACTIONS, dtype=torch.float64)
        self.ratios = importance(linear_softmax, self.anchor, self.batch, 2.0)

    def inner(self, phi, logit):
        rewards = self.reward.rewards(phi, self.batch)
        weights = inner_weights(rewards, torch.sigmoid(logit), self.batch, self.ratios, self.constants)
        return lambda theta: inner_objective(
            linear_softmax, theta, self.anchor, self.batch, weights, self.constants
        )

    def outer(self, theta):
        return outer_objective(linear_softmax, theta, self.fresh, 0.9)

    def solved(self, objective):
        theta = self.anchor.clone()
        for _ in range(30):
            theta.requires_grad_()
            (slope,) = torch.autograd.grad(objective(theta), theta)
            theta = (
                theta - torch.linalg.solve(torch.autograd.functional.hessian(objective, theta), slope)
            ).detach()
        assert slope.norm() < 1e-12
        return theta

    def phi(self):
        phi = self.reward.parameters()
        return phi, [tensor for group in phi.values() for tensor in group.values()]

    def finite_differences(self, logit, epsilon=1e-5):
        phi, tensors = self.phi()
        slopes = []
        for tensor in (*tensors, logit):
            flat = tensor.detach().view(-1)
            for entry in range(len(flat)):
                ends = []
                for sign in (1, -1):
                    flat[entry] += sign * epsilon
                    ends.append(float(self.outer(self.solved(self.inner(phi, logit)).detach())))
                    flat[entry] -= sign * epsilon
                slopes.append((ends[0] - ends[1]) / (2 * epsilon))
        return np.array(slopes)


def cosine(one, other):
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_hypergradient_is_that_of_the_resolved_inner_problem():
    problem = TinyProblem()
    logit = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    truth = problem.finite_differences(logit)
    phi, tensors = problem.phi()
    objective = problem.inner(phi, logit)
    theta = problem.solved(objective)
    found = {}
    for terms in (1, 5, 20, 100):
        result = implicit(objective, problem.outer, theta, (*tensors, logit), terms=terms, damping=0.0)
        assert result.usable
        found[terms] = cosine(np.concatenate([g.numpy().ravel() for g in result.gradients]), truth)
    assert found[100] >= 0.999
    assert found[1] < found[20] <= found[100] + 1e-6
    many = unrolled(objective, problem.outer, theta, (*tensors, logit), steps=100, step=2.0)
    assert cosine(np.concatenate([g.numpy().ravel() for g in many.gradients]), truth) >= 0.999


def test_a_series_that_explodes_is_rejected():
    theta, phi = torch.zeros(2), torch.ones(1, requires_grad=True)

    def convex(theta):
        return (theta.square().sum() + theta.sum() * phi).sum()

    result = implicit(convex, lambda theta: theta.sum(), theta, [phi], terms=10, damping=0.0)
    assert not result.usable
    assert result.verdict == "exploding"
    assert result.gradients[0].item() == 0.0
    assert implicit(convex, lambda theta: theta.sum(), theta, [phi], terms=10, damping=5.0).usable


def test_without_any_difference_in_the_task_there_is_no_signal():
    problem = TinyProblem()
    logit = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    phi, tensors = problem.phi()
    problem.fresh.task.zero_()
    result = implicit(
        problem.inner(phi, logit), problem.outer, problem.anchor, (*tensors, logit), terms=5, damping=0.0
    )
    assert (result.usable, result.verdict) == (False, "no signal")


# ---------------------------------------------------------------------- the objectives


def test_returns_are_those_of_a_plain_loop_and_differentiable_in_the_discount():
    rng = np.random.default_rng(0)
    lengths = [3, 1, 5]
    rewards = [rng.normal(size=length) for length in lengths]
    wanted, slopes = [], []
    for episode in rewards:
        for t in range(len(episode)):
            ahead = range(len(episode) - t)
            wanted.append(sum(0.8**k * episode[t + k] for k in ahead))
            slopes.append(sum(k * 0.8 ** (k - 1) * episode[t + k] for k in ahead if k))
    place = torch.tensor([[e, t] for e, length in enumerate(lengths) for t in range(length)]).T
    gamma = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    found = returns(torch.from_numpy(np.concatenate(rewards)), gamma, place)
    np.testing.assert_allclose(found.detach(), wanted)
    found.sum().backward()
    assert gamma.grad.item() == pytest.approx(sum(slopes))


def test_advantages_have_no_scale_and_nothing_the_baseline_explains():
    rng = np.random.default_rng(1)
    features = torch.from_numpy(np.stack([rng.normal(size=200), np.ones(200)], 1))
    noise = torch.from_numpy(rng.normal(size=200))
    one, other = advantages(noise, features), advantages(7 * noise + 100 * features[:, 0] - 3, features)
    assert one.std(correction=0).item() == pytest.approx(1.0)
    assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.99
    assert advantages(torch.full((200,), 3.0, dtype=torch.float64), features).abs().max() < 1e-6


def test_the_reward_of_a_batch_is_what_the_engine_pays():
    problem = TinyProblem()
    state = problem.reward.engine.states
    rng = np.random.default_rng(3)
    for array in problem.reward.live():
        array.add_(torch.from_numpy(rng.normal(size=array.shape)))
    phi, _ = problem.phi()
    found = problem.reward.rewards(phi, problem.batch).detach().numpy()
    parts, index = problem.batch.parts.numpy(), problem.batch.rows.numpy()[:, 0].astype(int)
    wanted = parts[:, 0] * state[1]["weight"] + parts[:, 2] * state[3]["weight"] + state[4]["table"][index]
    np.testing.assert_allclose(found, wanted)


# ---------------------------------------------------------------------- episodes


def steps_of(values):
    values = np.asarray(values, dtype=float)
    return Steps(values[..., None], values, values, values, values[..., None], values[..., None])


def test_episodes_are_whole_wherever_rollouts_cut_them():
    rng = np.random.default_rng(4)
    values = np.arange(60 * 2).reshape(60, 2)
    last = rng.random((60, 2)) < 0.2
    first = np.vstack([np.ones((1, 2), dtype=bool), last[:-1]])
    whole = EpisodeBuffer(10).cut(steps_of(values), first, last)
    pieces, buffer = [], EpisodeBuffer(10)
    for start, stop in ((0, 7), (7, 8), (8, 30), (30, 60)):
        part = slice(start, stop)
        pieces += buffer.cut(steps_of(values[part]), first[part], last[part])
    key = lambda episode: episode.steps.task[0]  # noqa: E731
    for one, other in zip(sorted(whole, key=key), sorted(pieces, key=key), strict=True):
        np.testing.assert_array_equal(one.steps.task, other.steps.task)
    assert sum(episode.old for episode in whole) == 0
    assert sum(episode.old for episode in pieces) > 0


def test_an_interrupted_episode_is_forgotten():
    buffer, no = EpisodeBuffer(10), np.zeros((3, 1), dtype=bool)
    first = no.copy()
    first[0] = True
    buffer.cut(steps_of([[1], [2], [3]]), first, no)
    last = no.copy()
    last[2] = True
    (episode,) = buffer.cut(steps_of([[4], [5], [6]]), first, last)
    np.testing.assert_array_equal(episode.steps.task, [4, 5, 6])


def test_the_buffer_keeps_the_latest():
    buffer = EpisodeBuffer(2)
    buffer.episodes.extend(StoredEpisode(steps_of([value]), 0) for value in (1, 2, 3))
    np.testing.assert_array_equal(joined([e.steps for e in buffer.episodes]).task, [2, 3])


# ---------------------------------------------------------------------- the algorithm


def corridor(**kwargs):
    return make_vec_env("shapegym/Corridor-v0", 4, seed=0, length=5, max_steps=12, **kwargs)


def test_weights_move_only_while_the_outer_learner_learns():
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **TINY).learn(512)
    assert len(model.history) == 4
    assert model.history[-1]["weights"] != {"task_reward": 1.0, "place": 1.0, "bias": 0.0}
    still = make_agent(
        "BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, outer_learning_rate=0.0, **TINY
    )
    still.learn(512)
    assert still.history[-1]["weights"] == {"task_reward": 1.0, "place": 1.0, "bias": 0.0}
    assert {row["verdict"] for row in still.history} == {"waiting"}


def test_the_discount_is_learned_on_request():
    model = make_agent(
        "BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, discount_learning_rate=0.2, **TINY
    )
    model.learn(640)
    assert model.discount != pytest.approx(0.99, abs=1e-6)
    assert 0.0 < model.discount < 1.0


def test_the_task_keeps_its_own_discount_and_the_learner_has_the_learned_one(monkeypatch):
    seen = {"inner": set(), "outer": set()}

    def watch(name, function, place):
        def watched(*args):
            seen[name].add(
                round(float(args[place].detach() if torch.is_tensor(args[place]) else args[place]), 6)
            )
            return function(*args)

        monkeypatch.setattr(barfi, function.__name__, watched)

    watch("inner", inner_weights, 1)
    watch("outer", outer_objective, 3)
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **TINY)
    model.discount_logit = 0.0
    model.learn(512)
    assert seen == {"inner": {0.5}, "outer": {0.99}}


def test_the_policy_waits_while_the_weights_warm_up():
    settings = TINY | {"warmup": 3}
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **settings)
    start = model.actor.theta().detach().clone()
    model.learn(3 * 128)
    assert torch.equal(model.actor.theta(), start)
    assert model.history[-1]["weights"]["place"] != 1.0
    model.learn(128, reset_num_timesteps=False)
    assert not torch.equal(model.actor.theta(), start)
    alone = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE, learn=False), seed=0, **settings)
    alone.learn(128)
    assert not torch.equal(alone.actor.theta(), start)


def test_a_weight_that_is_not_to_be_learned_stays():
    expression = blend(TaskReward(), bias=None, learn=False) + blend(PLACE)
    model = make_agent("BARFI", corridor(), expression, seed=0, **TINY).learn(640)
    engine = engine_of(model)
    assert engine.states[engine.term_names.index("weight_task_reward")]["weight"][0] == 1.0
    assert model.history[-1]["weights"].keys() == {"place", "bias"}
    assert model.history[-1]["weights"]["place"] != 1.0
    alone = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE, learn=False), seed=0, **TINY).learn(
        384
    )
    assert {row["verdict"] for row in alone.history} == {"waiting"}


@pytest.mark.parametrize("form", ["table", "network"])
def test_weights_by_state_are_learned(form):
    expression = blend(TaskReward(), PLACE, form=form, read="features.state", size=6)
    model = make_agent("BARFI", corridor(), expression, seed=0, **TINY).learn(640)
    engine = engine_of(model)
    state = engine.states[engine.term_names.index("weight_place")]
    if form == "table":
        assert len(np.unique(state["table"])) > 2
    else:
        assert np.abs(state["output"]).max() > 0


def test_only_barfi_learns_the_weights():
    assert not check_wiring(make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), **TINY))
    (finding,) = check_wiring(make_agent("A2C", corridor(), blend(TaskReward(), PLACE), n_steps=4))
    assert (finding.code, finding.severity) == ("weights-stay", "info")
    assert not check_wiring(make_agent("A2C", corridor(), blend(TaskReward(), PLACE, learn=False), n_steps=4))


def test_only_the_actor_is_in_theta():
    model = make_agent("BARFI", corridor(), blend(TaskReward()), seed=0, **TINY)
    assert all("value" not in name for name in model.actor.names)
    before = model.policy.value_net.weight.detach().clone()
    model.learn(256)
    torch.testing.assert_close(model.policy.value_net.weight.detach(), before, rtol=0, atol=0)


def test_the_unrolled_gradient_learns_too():
    model = make_agent(
        "BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, hypergradient="unrolled", terms=3, **TINY
    )
    model.learn(512)
    assert model.history[-1]["verdict"] == "unrolled"


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        (TaskReward() + PLACE, "has none"),
        (gate(TaskReward(), blend(PLACE), threshold=0.5), "whole episodes"),
    ],
)
def test_rewards_without_weights_to_learn_are_refused(reward, words):
    with pytest.raises(SettingsError, match=words):
        make_agent("BARFI", corridor(), reward, **TINY).learn(64)


def test_a_reward_must_be_wired():
    with pytest.raises(SettingsError, match="wire"):
        BARFI("MlpPolicy", corridor()).learn(64)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_updates": 0},
        {"restart": 1.5},
        {"max_ratio": 0.5},
        {"terms": 2.5},
        {"hypergradient": "exact"},
        {"gamma": 1.0, "discount_learning_rate": 0.1},
    ],
)
def test_settings_out_of_range_are_named(settings):
    with pytest.raises(SettingsError, match=next(iter(settings))):
        BARFI("MlpPolicy", corridor(), **settings)


def test_a_discount_of_one_is_kept():
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), gamma=1.0, seed=0, **TINY).learn(384)
    assert model.discount == 1.0
    assert all(np.isfinite(value) for value in model.history[-1]["weights"].values())


def test_dict_observations_are_refused():
    with pytest.raises(SettingsError, match="Dict"):
        BARFI(MultiInputActorCriticPolicy, make_vec_env("shapegym/PointMazeGoal-v0", 2))


def test_continuous_actions_work():
    env = make_vec_env("shapegym/PointMaze-v0", 4, seed=0, max_steps=10)
    model = BARFI("MlpPolicy", env, seed=0, device="cpu", **TINY)
    wire(model, blend(TaskReward(), StateReward("features.agent_pos[0]").named("place")))
    assert model.learn(384).num_timesteps >= 384


# ---------------------------------------------------------------------- what people do first


class Payer(gym.Env):
    """Five steps; pays ``reward(action)`` at each."""

    def __init__(self, reward, actions=None):
        self.reward = reward
        self.action_space = actions or spaces.Discrete(2)
        self.observation_space = spaces.Box(-1, 1, (3,), seed=0)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.time += 1
        return self.observation_space.sample(), self.reward(action), False, self.time >= 5, {}


def payers(lanes, *args):
    return DummyVecEnv([lambda: Payer(*args)] * lanes)


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_cost_that_every_episode_pays_moves_no_weights(lanes, caplog):
    expression = blend(TaskReward(), StateReward("obs[0]").named("noise"))
    settings = TINY | {"n_steps": 8 if lanes == 1 else 32}
    model = make_agent("BARFI", payers(lanes, lambda action: -1.0), expression, seed=0, **settings)
    model.learn(12 * lanes * settings["n_steps"])
    assert {row["verdict"] for row in model.history} <= {"waiting", "no signal"}
    assert model.history[-1]["weights"] == {"task_reward": 1.0, "noise": 1.0, "bias": 0.0}
    (message,) = [record.getMessage() for record in caplog.records]
    assert "does not explore" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_steps": 1, "warmup": 0}, "n_steps"),
        ({"damping": 0.0, "ent_coef": 0.0, "shift": 0.0, "weight_decay": 0.0, "terms": 1}, "damping"),
    ],
)
def test_a_run_whose_weights_never_moved_says_why(settings, words, caplog, monkeypatch):
    if words == "damping":
        monkeypatch.setattr(barfi, "implicit", lambda *_, **__: HyperGradient((), False, "singular", 1.0))
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **(TINY | settings))
    model.learn(8 if words == "n_steps" else 512)
    (message,) = [record.getMessage() for record in caplog.records]
    assert words in message


def test_weights_that_move_are_nothing_to_warn_of(caplog):
    make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **TINY).learn(512)
    make_agent("BARFI", corridor(), blend(TaskReward(), PLACE, learn=False), seed=0, **TINY).learn(256)
    assert not caplog.records


def test_binary_actions_work():
    env = payers(2, lambda action: float(action[0]), spaces.MultiBinary(3))
    model = make_agent("BARFI", env, blend(TaskReward(), StateReward("obs[0]").named("x")), seed=0, **TINY)
    assert model.learn(192).history[-1]["verdict"] not in {"waiting", "no signal"}


def test_a_saved_model_acts_without_an_environment(tmp_path):
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **TINY).learn(256)
    model.save(tmp_path / "model")
    loaded = BARFI.load(tmp_path / "model")
    obs = corridor().reset()
    np.testing.assert_array_equal(
        loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0]
    )


def test_a_loaded_model_does_not_go_on_with_another_reward(tmp_path):
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, **TINY).learn(256)
    model.save(tmp_path / "model")
    loaded = BARFI.load(tmp_path / "model", env=corridor())
    wire(loaded, blend(TaskReward(), 2.0 * PLACE))
    with pytest.raises(SettingsError, match="another reward"):
        loaded.learn(128)


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_discounts_at_the_ends_are_kept(gamma):
    expression = blend(TaskReward(), PLACE)
    model = make_agent("BARFI", corridor(), expression, gamma=gamma, seed=0, **TINY).learn(384)
    assert model.discount == gamma
    assert all(np.isfinite(value) for value in model.history[-1]["weights"].values())
    with pytest.raises(SettingsError, match="logit"):
        make_agent("BARFI", corridor(), expression, gamma=gamma, discount_learning_rate=0.1)


def test_dict_observations_are_refused_before_sb3_advises_another_policy():
    with pytest.raises(SettingsError, match="Flatten"):
        make_agent("BARFI", "shapegym/PointMazeGoal-v0", blend(TaskReward()))


def test_different_weights_of_one_key_are_refused():
    expression = TaskReward() * LearnedWeight("w", 1.0, name="one") + PLACE * LearnedWeight(
        "w", 0.5, name="other"
    )
    with pytest.raises(SettingsError, match="'w'"):
        make_agent("BARFI", corridor(), expression, **TINY).learn(64)


def test_a_weight_that_only_another_term_reads_is_refused():
    scale = RunningScale(PLACE * LearnedWeight("lost"))
    with pytest.raises(SettingsError, match="'lost'"):
        make_agent("BARFI", corridor(), TaskReward() * LearnedWeight("task") + PLACE * scale, **TINY).learn(
            64
        )


def test_a_discount_that_is_not_learned_has_no_part_in_the_steps_of_the_weights():
    model = make_agent("BARFI", corridor(), blend(TaskReward(), PLACE), seed=0, discount_cost=5.0, **TINY)
    model.learn(384)
    *weights, discount = model.adam_state.values()
    assert all(bool(each["exp_avg"].any()) for each in weights)
    assert not discount["exp_avg"].any()


def test_a_slope_that_is_not_finite_is_rejected():
    phi = torch.ones(1, requires_grad=True)
    for bad in (math.inf, math.nan):
        result = implicit(
            lambda theta: -(theta.square().sum() * phi).sum(),
            lambda theta, bad=bad: (theta * bad).sum(),
            torch.ones(2),
            [phi],
            terms=5,
            damping=0.0,
        )
        assert (result.usable, result.verdict) == (False, "exploding")


def test_weights_follow_the_device_of_the_batch():
    problem = TinyProblem()
    batch = EpisodeBatch.of(random_episodes(np.random.default_rng(0), 3), "meta")
    phi = problem.reward.parameters("meta")
    assert problem.reward.rewards(phi, batch).device.type == "meta"
