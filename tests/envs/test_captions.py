"""Captions: against an onlooker of MiniGrid's own objects, and as a feature that travels."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers its ids)
import numpy as np
import pytest
from captions_reference import Onlooker
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from shapegym.envs import _threads
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.features.captions import CAPTION
from shapegym.envs.grid.features.sentences import LENGTH, sentences
from shapegym.envs.grid.lane.cells import OBJECTS
from shapegym.envs.grid.lane.stepping import DROP, FORWARD, PICK_UP, TOGGLE
from shapegym.envs.registration import build, dynamics_class
from shapegym.envs.testing import check_sparse_env
from shapegym.texts import Text, decode

IDS = [name for name, *_ in GRID_IDS]
ONE_OF_EACH = sorted({builder: name for name, builder, *_ in GRID_IDS}.values())
THINGS = tuple(OBJECTS.index(name) for name in ("door", "key", "ball", "box"))
DOOR_KEY = "shapegym/MiniGrid-DoorKey-5x5-v0"


def busy(front: int, actions: int, rng: np.random.Generator) -> int:
    """A random action that more often does something with what is in front."""
    if actions > TOGGLE and rng.random() < 0.6:
        return int(rng.choice([PICK_UP, TOGGLE, TOGGLE] if front in THINGS else [FORWARD, FORWARD, DROP]))
    return int(rng.integers(actions))


def follow(name: str, steps: int, **knobs: Any) -> set[str]:
    """Play side by side; returns what was said."""
    theirs = gym.make(name, disable_env_checker=True, **knobs)
    ours: Any = gym.make(f"shapegym/{name}", features=("caption", "mission"), **knobs)
    onlooker, rng = Onlooker(theirs), np.random.default_rng(0)
    theirs.reset(seed=4)
    info, expected, said = ours.reset(seed=4)[1], onlooker.begin(), set()
    for step in range(steps):
        assert info["caption"] == expected, f"after step {step}"
        assert info["mission"] == theirs.unwrapped.mission
        said.add(expected)
        action = busy(info["front"], ours.action_space.n, rng)
        onlooker.look()
        *_, terminated, truncated, _ = theirs.step(action)
        expected, info = onlooker.tell(action), ours.step(action)[-1]
        if terminated or truncated:
            assert info["caption"] == expected, f"at the end, step {step}"
            said.add(expected)
            theirs.reset()
            info, expected = ours.reset()[1], onlooker.begin()
    return said


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_captions_are_what_an_onlooker_says(name: str) -> None:
    assert len(follow(name, 250)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_captions_of_all_ids_are_what_an_onlooker_says(name: str) -> None:
    follow(name, 3000)


def test_every_kind_of_sentence_is_said() -> None:
    names = ("DoorKey-5x5", "ObstructedMaze-1Dlhb", "LavaGapS5", "Empty-Random-5x5", "GoToObject-6x6-N2")
    said = set.union(*(follow(f"MiniGrid-{name}-v0", 700) for name in names))
    kinds = {number >> 8: text for number, text in sentences()}
    heard = {number >> 8 for number, text in sentences() if text in said}
    assert heard == kinds.keys()


def test_sentences_are_different_numbers_of_one_length() -> None:
    numbers = [number for number, _ in sentences()]
    assert len(set(numbers)) == len(numbers)
    assert max(len(text) for _, text in sentences()) == LENGTH


def test_a_box_is_the_same_whatever_it_hides() -> None:
    texts = dict(sentences())
    for number, text in sentences():
        if "box" in text:
            assert text == texts[number & ~0xFF | 56 + (number & 7)]


@pytest.mark.parametrize(
    "name", [DOOR_KEY, "shapegym/MiniGrid-Dynamic-Obstacles-Random-5x5-v0", "shapegym/KeyDoorSmall-v0"]
)
def test_tasks_with_texts_keep_the_contract(name: str) -> None:
    check_sparse_env(name, max_steps=30, features=("caption", "mission"))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_vector_form_has_the_bytes_of_the_single_form(mode: AutoresetMode) -> None:
    def make() -> Any:
        return gym.make(DOOR_KEY, features=CAPTION, max_steps=20)

    ours: Any = gym.make_vec(DOOR_KEY, 3, features=CAPTION, max_steps=20, autoreset_mode=mode)
    assert ours.features[CAPTION] == gym.spaces.Box(0, 255, (LENGTH,), np.uint8)
    theirs = SyncVectorEnv([make] * 3, autoreset_mode=mode)
    ours.action_space.seed(1)
    info, expected = ours.reset(seed=0)[1], theirs.reset(seed=0)[1]
    for _ in range(50):
        assert decode(info[CAPTION]) == list(expected[CAPTION])
        actions = ours.action_space.sample()
        *_, terminated, truncated, info = ours.step(actions)
        expected = theirs.step(actions)[-1]
        if mode is AutoresetMode.DISABLED and (done := terminated | truncated).any():
            info = ours.reset(options={"reset_mask": done})[1]
            expected = {**expected, **theirs.reset(options={"reset_mask": done})[1]}


def test_captions_do_not_depend_on_threads_nor_on_what_else_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def said(lanes: int, **knobs: Any) -> Any:
        env: Any = gym.make_vec(DOOR_KEY, lanes, features=CAPTION, **knobs)
        rng = np.random.default_rng(0)
        rows = [env.reset(seed=0)[1][CAPTION][:4]]
        for _ in range(40):
            rows.append(env.step(np.resize(rng.integers(7, size=4), lanes))[-1][CAPTION][:4])
        return np.array(rows)

    expected = said(4)
    np.testing.assert_array_equal(said(4, observation="image", image="full"), expected)
    monkeypatch.setattr(_threads, "_useful", lambda lanes, threads: 2)
    np.testing.assert_array_equal(said(600), expected)


def test_a_snapshot_continues_a_caption_and_what_was_named() -> None:
    env: Any = gym.make(DOOR_KEY, features=CAPTION).unwrapped
    env.reset(seed=3)
    actions = np.random.default_rng(0).integers(7, size=60)
    for action in actions[:20]:
        env.step(action)
    kept = env.snapshot()
    truth = [env.step(action)[-1][CAPTION] for action in actions[20:]]
    env.restore(kept)
    assert [env.step(action)[-1][CAPTION] for action in actions[20:]] == truth
    plain: Any = gym.make(DOOR_KEY).unwrapped
    with pytest.raises(ValueError, match="with captions"):
        plain.restore(kept)


def test_who_does_not_ask_for_captions_pays_nothing_for_them() -> None:
    plain = build("shapegym.envs.grid.families.door_key:door_key")
    assert not plain.companions
    assert "told" not in plain.allocate(2)
    assert not {"caption", "mission"} & set(plain.features)


def test_finite_tasks_say_their_events_and_their_aim() -> None:
    name = "shapegym/KeyDoorSmall-v0"
    assert dynamics_class(gym.spec(name)).reports_on_request("caption")
    env: Any = gym.make(name, features="all", observation="index").unwrapped
    env.reset(seed=0)
    env.action_space.seed(0)
    said = set()
    for _ in range(90):
        info = env.step(env.action_space.sample())[-1]
        assert info["caption"] == env.captions[info["event"]]
        assert info["mission"] == env.dynamics.aim
        said.add(info["caption"])
    assert len(said) > 1
    with pytest.raises(
        ValueError, match=r"unknown features \['colour'\]; on request there are \['caption', 'mission'\]"
    ):
        gym.make(name, features=("colour",))


def test_a_text_is_read_by_people_and_by_rewards() -> None:
    row = np.frombuffer("ein Schlüssel\0\0".encode(), np.uint8)
    text = Text(row)
    assert text == "ein Schlüssel"
    again = pickle.loads(pickle.dumps(text))
    assert again == text
    np.testing.assert_array_equal(again.row, row)
