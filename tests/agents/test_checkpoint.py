"""Exact resume: N steps, save, load into new objects, N steps more, equals 2 N steps, to the last bit."""

import json
import os
import random

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize
from stable_baselines3.her import HerReplayBuffer

from shapegym.agents import checkpoint as module
from shapegym.agents.callbacks import EPISODES_FILE, ShapingCallback, find_surface
from shapegym.agents.checkpoint import (
    CheckpointCallback,
    checkpoints,
    load_checkpoint,
    read_manifest,
    require_books,
    save_checkpoint,
)
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import CheckpointError
from shapegym.agents.factory import make_agent
from shapegym.agents.metrics import read_json_lines
from shapegym.agents.state_tree import pack
from shapegym.agents.threads import torch_threads
from shapegym.envs.registration import register_all
from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.states.distance import Distance
from shapegym.shaping.states.functions import Read
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.weights.blend import blend
from shapegym.shaping.weights.multipliers import constrained

register_all()

N = 96
REWARD = TaskReward() + 0.1 * Potential(Read("features.state")) + 0.2 * CountBonus(key="features.state")
BLEND = blend(
    TaskReward(), 0.1 * Potential(Read("features.state")), form="table", read="features.state", size=6
)
CONSTRAINED = constrained(TaskReward(), {CountBonus(key="features.state"): 0.5}, every=3)
OFF_POLICY = {
    "learning_starts": 30,
    "buffer_size": 80,
    "batch_size": 16,
    "train_freq": 4,
    "gradient_steps": 2,
}
RECURRENT = {"n_steps": 16, "batch_size": 16, "policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 4}}


def corridor(seed=None):
    return make_vec_env("shapegym/Corridor-v0", 2, seed=seed, length=5, slip=0.2, max_steps=7)


def maze(seed=None):
    return make_vec_env("shapegym/PointMaze-v0", 2, seed=seed, max_steps=20)


def normalised(seed=None):
    return VecNormalize(corridor(seed), norm_reward=False)


def stacked(seed=None):
    return VecFrameStack(corridor(seed), 3)


def goals(seed=None):
    return make_vec_env("shapegym/PointMazeGoal-v0", 2, seed=seed, max_steps=10)


HER = {"replay_buffer_class": HerReplayBuffer, "policy_kwargs": {"net_arch": [8]}}
GOAL_REWARD = TaskReward() + Potential(Distance("obs.achieved_goal", "obs.desired_goal"))
MAZE_REWARD = TaskReward() + 0.1 * Potential(Read("features.agent_pos[0]"))
CASES = {
    "PPO": ("PPO", corridor, REWARD, {"n_steps": 16, "batch_size": 16}),
    "PPO without a reward": ("PPO", corridor, None, {"n_steps": 16, "batch_size": 16}),
    "PPO on normalised observations": ("PPO", normalised, REWARD, {"n_steps": 16, "batch_size": 16}),
    "PPO with gSDE": ("PPO", maze, MAZE_REWARD, {"n_steps": 16, "batch_size": 16, "use_sde": True}),
    "A2C on stacked observations": ("A2C", stacked, REWARD, {"n_steps": 4}),
    "RecurrentPPO": ("RecurrentPPO", corridor, REWARD, RECURRENT),
    "BARFI": (
        "BARFI",
        corridor,
        BLEND,
        {"n_steps": 16, "n_updates": 3, "warmup": 0, "buffer_size": 6, "batch_size": 20},
    ),
    "BARFI with networks and a learned discount": (
        "BARFI",
        corridor,
        blend(TaskReward(), 0.1 * Potential(Read("features.state")), form="network", read="obs", size=3),
        {
            "n_steps": 16,
            "n_updates": 3,
            "warmup": 0,
            "buffer_size": 6,
            "batch_size": 20,
            "discount_learning_rate": 0.1,
        },
    ),
    "ConstrainedPPO": ("ConstrainedPPO", corridor, CONSTRAINED, {"n_steps": 16, "batch_size": 16}),
    "TwoHeadPPO": ("TwoHeadPPO", corridor, REWARD, {"n_steps": 16, "batch_size": 16, "bonus_gamma": 0.5}),
    "TwoHeadPPO without a reward": ("TwoHeadPPO", corridor, None, {"n_steps": 16, "batch_size": 16}),
    "DQN": ("DQN", corridor, REWARD, OFF_POLICY),
    "QRDQN": (
        "QRDQN",
        corridor,
        REWARD,
        {**OFF_POLICY, "policy_kwargs": {"net_arch": [8], "n_quantiles": 5}},
    ),
    "DQN before its buffer is full": ("DQN", corridor, REWARD, {**OFF_POLICY, "buffer_size": 1000}),
    "DQN with a gate": ("DQN", corridor, gate(REWARD, threshold=0.5), OFF_POLICY),
    "PPO with a gate": ("PPO", corridor, gate(REWARD, threshold=0.5), {"n_steps": 16, "batch_size": 16}),
    "SAC with HER": ("SAC", goals, GOAL_REWARD, {**OFF_POLICY, "policy": "MultiInputPolicy", **HER}),
    "SAC": ("SAC", maze, MAZE_REWARD, {**OFF_POLICY, "policy_kwargs": {"net_arch": [8]}}),
    "TD3": (
        "TD3",
        maze,
        MAZE_REWARD,
        {**OFF_POLICY, "policy_kwargs": {"net_arch": [8]}, "action_noise_std": 0.2},
    ),
}


@pytest.fixture(autouse=True)
def one_thread():
    with torch_threads(1):
        yield


def remembered(model):
    """Every number on which the future depends, by name."""
    found = dict(leaves(model.get_parameters(), "parameters"))
    layer, surface = model.env, find_surface(model.env)
    while layer is not layer.unwrapped:
        found |= dict(leaves(plain(layer), type(layer).__name__))
        layer = layer.venv
    found |= dict(leaves(layer.snapshot(), "environment"))
    if getattr(model, "replay_buffer", None) is not None:
        found |= dict(leaves(plain(model.replay_buffer), "replay"))
    if surface is not None:
        found |= dict(leaves(surface.engine.state_dict(), "reward"))
    found |= dict(leaves(model._last_obs, "obs"))
    found |= {"counters": (model.num_timesteps, model._n_updates, model._episode_num)}
    found |= {"episodes": [(episode["r"], episode["l"]) for episode in model.ep_info_buffer]}
    streams = random.random(), np.random.random(), torch.rand(1).item(), model.action_space.sample()  # noqa: NPY002
    return found | dict(leaves(streams, "streams"))


def plain(value):
    """An object's attributes as nested dicts."""
    arrays = {}

    def resolve(packed):
        if not isinstance(packed, dict):
            return packed
        ((kind, content),) = packed.items()
        if kind in ("array", "rows", "tensor"):
            return arrays[content[0] if kind == "rows" else content]
        if kind in ("member", "made", "named", "class"):
            return 0 if kind == "class" else content[1] if kind == "member" else resolve_all(content[1])
        if kind == "deque":
            return [resolve(entry) for entry in content[1]]
        return [resolve(entry) for entry in content] if kind in ("list", "tuple") else resolve_all(content)

    def resolve_all(content):
        return {key: resolve(entry) for key, entry in content.items()}

    return resolve(pack(value, arrays))


def leaves(value, name):
    """Flatten nested containers of tensors, arrays and numbers."""
    if isinstance(value, dict):
        value = sorted(value.items())
    if isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from leaves(entry, f"{name}.{index}")
    else:
        yield name, np.asarray(value)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def forget_everything():
    """A new process would have other random streams."""
    random.seed()
    np.random.seed()  # noqa: NPY002
    torch.seed()


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path, case):
    algo, make_env, reward, settings = CASES[case]
    model = make_agent(algo, make_env(0), reward, seed=0, **settings)
    model.learn(2 * N, callback=[CheckpointCallback(tmp_path / "saved", N), ShapingCallback(tmp_path)])
    wanted, episodes = remembered(model), read_json_lines(tmp_path / EPISODES_FILE)
    forget_everything()

    first, *_ = checkpoints(tmp_path / "saved")
    resumed = load_checkpoint(first, make_env(), reward)
    assert N <= resumed.num_timesteps < 2 * N
    resumed.learn(
        2 * N - resumed.num_timesteps,
        callback=[CheckpointCallback(tmp_path / "saved", N), ShapingCallback(tmp_path)],
        reset_num_timesteps=False,
    )
    assert_same(remembered(resumed), wanted)
    assert read_json_lines(tmp_path / EPISODES_FILE) == episodes


def test_saving_after_learn_resumes_too(tmp_path):
    algo, make_env, reward, settings = CASES["DQN"]

    def start():
        return make_agent(algo, make_env(0), reward, seed=0, **settings).learn(N)

    save_checkpoint(tmp_path / "saved", start())
    goes_on = start().learn(N, reset_num_timesteps=False)
    wanted = remembered(goes_on)
    forget_everything()
    assert_same(
        remembered(
            load_checkpoint(tmp_path / "saved", make_env(), reward).learn(N, reset_num_timesteps=False)
        ),
        wanted,
    )


def small(reward=REWARD, env=None):
    return make_agent("PPO", env or corridor(0), reward, seed=0, n_steps=16, batch_size=16).learn(32)


def test_environments_without_snapshots_begin_new_episodes_and_say_so(tmp_path):
    def single():
        return DummyVecEnv([lambda: gym.make("shapegym/Corridor-v0", length=5)])

    model = small(env=single())
    with pytest.warns(UserWarning, match="DummyVecEnv has no snapshots"):
        save_checkpoint(tmp_path / "saved", model)
    with pytest.warns(UserWarning, match="begin new episodes"):
        resumed = load_checkpoint(tmp_path / "saved", single(), REWARD)
    assert find_surface(resumed.env).engine.clock == 32
    assert resumed.learn(32, reset_num_timesteps=False).num_timesteps == 64


def test_the_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    model = small()
    monkeypatch.setattr(module, "save_engine", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_checkpoint(tmp_path / "saved", model)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_overwritten(tmp_path):
    (tmp_path / "saved").mkdir()
    with pytest.raises(CheckpointError, match="exists already"):
        save_checkpoint(tmp_path / "saved", small())


@pytest.mark.parametrize("name", ["model.npz", "reward.npz", "surroundings.npz", "wrapper0.npz"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    path = save_checkpoint(tmp_path / "saved", small()) / name
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-20] if damage == "truncate" else content[:50] + b"?" + content[51:])
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(tmp_path / "saved", corridor(), REWARD)


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"format": "other", "format_version": 1}', "\x00"])
def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"manifest\.json (cannot be read|is not JSON|holds|is of)"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("key", ["learn_every", "books", "reward_seed", "layers", "files"])
def test_a_manifest_says_all_that_it_must(tmp_path, key):
    saved = save_checkpoint(tmp_path / "saved", small())
    manifest = json.loads((saved / "manifest.json").read_text())
    del manifest[key]
    (saved / "manifest.json").write_text(json.dumps(manifest))
    if key in ("learn_every", "books"):  # for which nothing is a value too
        require_books(saved, [tmp_path / "episodes.jsonl"])
        load_checkpoint(saved, corridor(), REWARD)
    else:
        with pytest.raises(CheckpointError, match=f"{key} must be"):
            read_manifest(saved)


def test_what_is_called_otherwise_is_no_checkpoint(tmp_path):
    for name in (
        "step_9",
        "step_12",
        "step_\N{SUPERSCRIPT TWO}",
        "step_\N{ARABIC-INDIC DIGIT THREE}",
        "step_-1",
        "step_",
    ):
        (tmp_path / name).mkdir()
    assert [path.name for path in checkpoints(tmp_path)] == ["step_9", "step_12"]


@pytest.mark.parametrize("entry", [1, [1], ["x", "y"], None, "text", [1.5, ""]])
def test_what_a_manifest_says_of_books_is_a_size_and_a_digest(tmp_path, entry):
    saved = save_checkpoint(tmp_path / "saved", small())
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["books"] = {"episodes.jsonl": entry}
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"books: episodes\.jsonl is none"):
        require_books(saved, [tmp_path / "episodes.jsonl"])


def test_a_book_that_is_a_hole_now_is_not_hashed(tmp_path):
    book = tmp_path / "episodes.jsonl"
    book.write_text("{}\n")
    saved = save_checkpoint(tmp_path / "saved", small(), [book])
    os.truncate(book, 2**40)
    with pytest.raises(CheckpointError, match="holes"):
        require_books(saved, [book])


def test_what_does_not_belong_to_the_checkpoint_is_said(tmp_path):
    saved = save_checkpoint(tmp_path / "saved", small())
    four = make_vec_env("shapegym/Corridor-v0", 4, length=5, slip=0.2, max_steps=7)
    longer = make_vec_env("shapegym/Corridor-v0", 2, length=6, slip=0.2, max_steps=7)
    slippery = make_vec_env("shapegym/Corridor-v0", 2, length=5, slip=0.3, max_steps=7)
    for env, reward, message in (
        (corridor(), None, "the reward"),
        (corridor(), TaskReward(), "the reward"),
        (four, REWARD, "the number of lanes"),
        (normalised(), REWARD, "the layers"),
        (longer, REWARD, "was trained on"),
        (slippery, REWARD, "corridor"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(saved, env, reward)


def test_old_checkpoints_are_pruned_and_overtaken_ones_replaced(tmp_path):
    model = make_agent("PPO", corridor(0), REWARD, seed=0, n_steps=16, batch_size=16)
    model.learn(161, callback=CheckpointCallback(tmp_path, 32, keep=2))
    assert [path.name for path in checkpoints(tmp_path)] == ["step_128", "step_160"]
    with pytest.raises(CheckpointError, match="another run"):
        model.learn(32, callback=CheckpointCallback(tmp_path, 32))
    resumed = load_checkpoint(tmp_path / "step_128", corridor(), REWARD)
    resumed.learn(16, callback=CheckpointCallback(tmp_path, 500), reset_num_timesteps=False)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_128"]


@pytest.mark.parametrize("kwargs", [{"every": 0}, {"every": 10, "keep": 0}])
def test_intervals_are_checked(tmp_path, kwargs):
    with pytest.raises(CheckpointError, match="at least 1"):
        CheckpointCallback(tmp_path, **kwargs)
