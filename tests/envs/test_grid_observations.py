"""What agents of grid worlds observe, in every form, against the minigrid package and its wrappers."""

from __future__ import annotations

from itertools import product
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 (registers its ids)
import numpy as np
import pytest
from minigrid.wrappers import FullyObsWrapper, OneHotPartialObsWrapper, SymbolicObsWrapper
from numpy.typing import NDArray

import shapegym  # noqa: F401 (registers the ids)
from shapegym.envs import _threads
from shapegym.envs.grid.families.ids import GRID_IDS
from shapegym.envs.grid.lane.stepping import DROP, FORWARD, PICK_UP, TOGGLE
from shapegym.envs.grid.sight import images
from shapegym.envs.grid.sight.missions import MAX_TOKENS, VOCABULARY, detokenize, tokenize
from shapegym.envs.testing import check_sparse_env

WRAPPERS: dict[str, Any] = {
    "partial": lambda env: env,
    "full": FullyObsWrapper,
    "onehot": OneHotPartialObsWrapper,
    "symbolic": SymbolicObsWrapper,
}
VARIED = (
    "MiniGrid-DoorKey-6x6-v0",
    "MiniGrid-FourRooms-v0",
    "MiniGrid-LavaCrossingS9N2-v0",
    "MiniGrid-ObstructedMaze-1Dlhb-v0",
    "MiniGrid-Dynamic-Obstacles-6x6-v0",
    "MiniGrid-RedBlueDoors-6x6-v0",  # wider than high
)


def busy(theirs: Any, rng: np.random.Generator) -> int:
    """A random action that more often does something with what is in front."""
    thing = theirs.grid.get(*theirs.front_pos)
    actions = theirs.action_space.n
    if actions > TOGGLE and rng.random() < 0.5:
        if thing is None:
            return int(rng.choice([FORWARD, FORWARD, DROP]))
        return int(rng.choice([PICK_UP, TOGGLE, FORWARD]))
    return int(rng.integers(actions))


def hold_equal_images(name: str, image: str, side: int, seeds: int, steps: int, **knobs: Any) -> None:
    theirs = WRAPPERS[image](gym.make(name, agent_view_size=side, disable_env_checker=True, **knobs))
    ours = gym.make(f"shapegym/{name}", image=image, agent_view_size=side, **knobs).unwrapped
    space = theirs.observation_space["image"]
    assert ours.observation_space["image"] == space
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        expected, _ = theirs.reset(seed=seed)
        given, _ = ours.reset(seed=seed)
        for _ in range(steps):
            assert given["image"].dtype == space.dtype
            np.testing.assert_array_equal(given["image"], expected["image"])
            action = busy(theirs.unwrapped, rng)
            expected, _, terminated, truncated, _ = theirs.step(action)
            given, *_ = ours.step(action)
            if terminated or truncated:
                np.testing.assert_array_equal(given["image"], expected["image"])
                expected, _ = theirs.reset()
                given, _ = ours.reset()


@pytest.mark.parametrize("name", VARIED)
@pytest.mark.parametrize("image", WRAPPERS)
def test_images_equal_those_of_minigrids_wrappers(name: str, image: str) -> None:
    hold_equal_images(name, image, side=7, seeds=2, steps=60)


@pytest.mark.parametrize("image", ["partial", "onehot"])
@pytest.mark.parametrize("side", [3, 5, 9, 11, 17, 31])
def test_views_of_every_size_equal_minigrids(image: str, side: int) -> None:
    for name in ("MiniGrid-DoorKey-8x8-v0", "MiniGrid-FourRooms-v0", "MiniGrid-Empty-8x8-v0"):
        hold_equal_images(name, image, side, seeds=2, steps=15)


@pytest.mark.parametrize("see_through_walls", [True, False])
def test_sight_through_walls_is_an_option(see_through_walls: bool) -> None:
    for name in ("MiniGrid-DoorKey-6x6-v0", "MiniGrid-MultiRoom-N2-S4-v0", "MiniGrid-FourRooms-v0"):
        hold_equal_images(name, "partial", 7, 2, 20, see_through_walls=see_through_walls)


@pytest.mark.parametrize("image", WRAPPERS)
def test_every_form_holds_the_same_image_and_mission(image: str) -> None:
    name = "shapegym/MiniGrid-GoToDoor-5x5-v0"
    text = gym.make(name, image=image).unwrapped
    others = {
        options: gym.make(name, image=image, observation=options[0], mission=options[1]).unwrapped
        for options in (
            ("dict", "tokens"), ("dict", "none"), ("image", "none"), ("flat", "tokens"), ("flat", "none"),
        )
    }  # fmt: skip
    rng = np.random.default_rng(0)
    for seed in range(5):
        seen = text.reset(seed=seed)[0]
        also = {options: env.reset(seed=seed)[0] for options, env in others.items()}
        for _ in range(4):
            tokens = tokenize([seen["mission"]])[0]
            for options, env in others.items():
                assert also[options] in env.observation_space
            assert set(also["dict", "none"]) == {"image", "direction"}
            np.testing.assert_array_equal(also["dict", "tokens"]["mission"], tokens)
            np.testing.assert_array_equal(also["image", "none"], seen["image"])
            np.testing.assert_array_equal(also["flat", "none"], seen["image"].ravel())
            np.testing.assert_array_equal(
                also["flat", "tokens"], np.concatenate([seen["image"].ravel(), tokens])
            )
            action = int(rng.integers(3))
            seen = text.step(action)[0]
            also = {options: env.step(action)[0] for options, env in others.items()}
    assert others["flat", "tokens"].observation_space.dtype == seen["image"].dtype


@pytest.mark.parametrize(
    ("image", "observation", "mission"),
    [
        ("partial", "flat", "tokens"),
        ("full", "dict", "tokens"),
        ("onehot", "image", None),
        ("symbolic", "flat", "tokens"),
        ("symbolic", "dict", "none"),
    ],
)
def test_forms_comply(image: str, observation: str, mission: str | None) -> None:
    check_sparse_env(
        "shapegym/MiniGrid-DoorKey-5x5-v0",
        steps=60, max_steps=20, image=image, observation=observation, mission=mission,
    )  # fmt: skip


@pytest.mark.parametrize("image", WRAPPERS)
def test_chunks_of_lanes_write_what_one_loop_writes(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def play() -> NDArray[Any]:
        env: Any = gym.make_vec(
            "shapegym/MiniGrid-DoorKey-5x5-v0",
            num_envs=7, image=image, observation="flat", mission="tokens", max_steps=9,
        )  # fmt: skip
        rng = np.random.default_rng(0)
        env.reset(seed=0)
        return np.stack([env.step(rng.integers(7, size=7))[0] for _ in range(30)])

    alone = play()
    monkeypatch.setattr(_threads, "LANES_PER_THREAD", 1)
    np.testing.assert_array_equal(play(), alone)


@pytest.mark.parametrize("image", WRAPPERS)
def test_lanes_outside_the_mask_stay_as_they_are(image: str) -> None:
    env: Any = gym.make_vec("shapegym/MiniGrid-DoorKey-5x5-v0", num_envs=4, image=image, observation="flat")
    env = env.unwrapped
    observation, _ = env.reset(seed=0)
    mask = np.array([True, False, True, False])
    out = np.full_like(observation, 77)
    env.dynamics.observe(env._state, out, mask)
    np.testing.assert_array_equal(out[mask], observation[mask])
    assert (out[~mask] == 77).all()


def test_image_kernels_compile_once() -> None:
    for name in ("MiniGrid-DoorKey-5x5-v0", "MiniGrid-FourRooms-v0"):
        for image, side in product(WRAPPERS, (3, 7)):
            for observation in ("dict", "flat"):
                gym.make(
                    f"shapegym/{name}", image=image, agent_view_size=side, observation=observation
                ).reset()
    for kernel in (images._full_range, images._symbolic_range, images._bits_range):
        assert len(kernel.signatures) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": "pixels"}, r"observation must be one of .*'flat'.* got 'pixels'"),
        ({"image": "rgb"}, r"image must be one of .*'onehot'.* got 'rgb'"),
        ({"mission": "words"}, r"mission must be one of .*'tokens'.* got 'words'"),
        ({"observation": "flat", "mission": "text"}, r"observation='flat': mission must be one of"),
        ({"observation": "image", "mission": "tokens"}, r"observation='image': mission must be one of"),
        ({"agent_view_size": 8}, r"agent_view_size must be odd and in 3 \.\. 31, got 8"),
        ({"agent_view_size": 33}, "got 33"),
        ({"agent_view_size": 7.0}, "got 7.0"),
    ],
)
def test_unfitting_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make("shapegym/MiniGrid-Empty-5x5-v0", **options)


def missions_of_minigrid() -> list[str]:
    """Every text that a mission space of the table's ids can give."""
    texts: set[str] = set()
    newest = {name.rsplit("-", 1)[0]: name for name, *_ in GRID_IDS}  # Gymnasium warns of older versions
    for name in newest.values():
        space = gym.make(name, disable_env_checker=True).observation_space["mission"]
        texts.update(space.mission_func(*words) for words in product(*(space.ordered_placeholders or ())))
    return sorted(texts)


def test_every_mission_of_minigrid_is_tokens_and_back() -> None:
    missions = missions_of_minigrid()
    assert len(missions) > 600
    tokens = tokenize(missions)
    assert (tokens.shape, tokens.dtype) == ((len(missions), MAX_TOKENS), np.uint8)
    assert [detokenize(row) for row in tokens] == [mission.replace(",", "") for mission in missions]
    assert (tokens[:, -1] != 0).any(), "MAX_TOKENS is the length of the longest mission"
    assert set(np.unique(tokens).tolist()) == set(range(len(VOCABULARY))), "every word is used"
    assert len(np.unique(tokens, axis=0)) == len({mission.replace(",", "") for mission in missions})


def test_a_mission_of_other_words_is_named() -> None:
    with pytest.raises(ValueError, match=r"'sing a song' has unknown words \['sing', 'song'\]"):
        tokenize(["sing a song"])
    with pytest.raises(ValueError, match=f"more than {MAX_TOKENS} words"):
        tokenize(["go " * (MAX_TOKENS + 1)])
    with pytest.raises(ValueError, match=r"tokens \[99\] are outside the vocabulary"):
        detokenize(np.array([1, 99]))
