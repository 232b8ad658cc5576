"""Captions of environments that have texts of their own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from shapegym.agents import make_agent
from shapegym.agents.environments import with_features
from shapegym.envs.foreign.captioned import CaptionedEnv, CaptionedVectorEnv, as_text
from shapegym.shaping import CountBonus, TaskReward
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.surfaces.vector_env import ShapedVectorEnv
from shapegym.texts import decode, encode, longest

SAID = (
    "",
    None,
    "it goes",
    b"caf\xc3\xa9",
    b"\xff\xfe!",
    "x" * 10_000,
    "ä" * 40,
    "a\0b",
    "\ud800",
    np.str_("text"),
)
READ = ("", "", "it goes", "café", "\ufffd\ufffd!", "x" * 31, "ä" * 15, "a b", "?", "text")


class Talker(gym.Env[Any, Any]):
    """Says one thing after the other."""

    observation_space = gym.spaces.Dict(
        {"at": gym.spaces.Discrete(20), "message": gym.spaces.Box(0, 255, (8,), np.uint8)}
    )
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = 0
        return self._obs(), {"said": SAID[0]}

    def step(self, action: int) -> Any:
        self.at += 1
        return self._obs(), 0.0, self.at == len(SAID) - 1, False, {"said": SAID[self.at]}

    def _obs(self) -> Any:
        return {"at": self.at, "message": np.frombuffer(b"step %d\0\0" % self.at, np.uint8)[:8].copy()}


def test_whatever_is_said_becomes_a_caption_of_one_length() -> None:
    env = CaptionedEnv(Talker(), "said", length=31)
    infos = [env.reset()[1], *(env.step(0)[-1] for _ in SAID[1:])]
    assert [info["caption"] for info in infos] == list(READ)
    assert all(info["caption"].row in env.features["caption"] for info in infos)


def test_a_text_may_be_observed_or_made_by_a_function() -> None:
    seen = CaptionedEnv(Talker(), "message")
    assert seen.reset()[1]["caption"] == "step 0"
    assert seen.step(0)[-1]["caption"] == "step 1"
    made = CaptionedEnv(Talker(), lambda obs, info: f"{obs['at']}: {info['said']}")
    made.reset()
    made.step(0)
    assert made.step(1)[-1]["caption"] == "2: it goes"


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_vector_form_says_what_single_ones_say(mode: AutoresetMode) -> None:
    ours = CaptionedVectorEnv(SyncVectorEnv([Talker] * 2, autoreset_mode=mode), "said", length=31)
    theirs = SyncVectorEnv([lambda: CaptionedEnv(Talker(), "said", length=31)] * 2, autoreset_mode=mode)
    info, expected = ours.reset()[1], theirs.reset()[1]
    for _ in range(2 * len(SAID)):
        assert decode(info["caption"]) == list(expected["caption"])
        if "final_info" in info:
            assert decode(info["final_info"]["caption"]) == list(expected["final_info"]["caption"])
        *_, terminated, _, info = ours.step(np.zeros(2, int))
        expected = theirs.step(np.zeros(2, int))[-1]
        if mode is AutoresetMode.DISABLED and terminated.any():
            info, expected = ours.reset()[1], theirs.reset()[1]


def test_rewards_count_captions_on_every_surface() -> None:
    reward = TaskReward() + CountBonus("features.caption", scope="episode", beta=1.0, exponent=3.0)
    single = ShapedEnv(CaptionedEnv(Talker(), lambda obs, info: "tick" if obs["at"] % 3 else "tock"), reward)
    batch = SyncVectorEnv([Talker] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    says = CaptionedVectorEnv(
        batch, lambda obs, info: ["tick" if at % 3 else "tock" for at in obs["at"].tolist()]
    )
    vector = ShapedVectorEnv(says, reward)
    single.reset()
    vector.reset()
    paid = [single.step(0)[1] for _ in SAID[1:]]
    np.testing.assert_array_equal([vector.step(np.zeros(2, int))[1][0] for _ in SAID[1:]], paid)
    assert paid[:4] == [1.0, 1 / 8, 1.0, 1 / 27], "what was heard before in the episode is worth less"


def test_an_agent_learns_from_captions_of_a_grid_world() -> None:
    reward = TaskReward() + CountBonus("features.caption", scope="episode", exponent=3.0)
    name = "shapegym/MiniGrid-DoorKey-5x5-v0"
    assert with_features(name, reward, {}) == {"features": ["caption"]}
    agent = make_agent("PPO", name, reward, seed=0, num_envs=2, n_steps=16, batch_size=32)
    agent.learn(32)


def test_no_text_is_longer_than_the_longest() -> None:
    texts = ["you walk", *(text for text in SAID if isinstance(text, str))]
    assert longest(texts) == 10_000
    assert longest(["\ud800"]) == longest([""]) == 1
    assert [len(text) for text in decode(encode(texts, 10_000))] == [len(text) for text in texts]


def test_what_is_no_text_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"a caption is a text, bytes or None, got 3 \(int\)"):
        as_text(3)
    with pytest.raises(
        KeyError,
        match=r"no text 'words' in the info or the observation, which have \['at', 'message', 'said'\]",
    ):
        CaptionedEnv(Talker(), "words").reset()
    with pytest.raises(ValueError, match="reports a caption already"):
        CaptionedEnv(gym.make("shapegym/KeyDoor-v0", features="caption"), "said")
    with pytest.raises(TypeError, match="must be the name of a text or a function"):
        CaptionedEnv(Talker(), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="length must be a number of bytes"):
        CaptionedEnv(Talker(), "said", length=0)
    batch = CaptionedVectorEnv(SyncVectorEnv([Talker] * 2), lambda obs, info: "one for all")
    with pytest.raises(TypeError, match="captions of 2 lanes are as many texts, got 'one for all'"):
        batch.reset()
