"""Encoders of pictures: trained with a seed, kept without pickle, refused when damaged or when they see something else."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from shapegym.experiments.cli import app
from shapegym.experiments.errors import RunError
from shapegym.experiments.pictured import mountain_car, yard
from shapegym.experiments.pictured.material import material_of
from shapegym.shaping import GoalSimilarity, PictureEncoder, Potential, StateReward, TaskReward
from shapegym.shaping.errors import EncoderError
from shapegym.shaping.files.reward_files import loads
from shapegym.shaping.similarity.pictures import save_towers
from shapegym.shaping.similarity.towers import train
from shapegym.shaping.testing import check_expression

COLOURS = {"red": 0, "green": 1, "blue": 2}


def coloured(seed: int = 0, count: int = 60) -> tuple[np.ndarray, list[list[str]]]:
    """Pictures of one colour each on grey noise, and a sentence that says which."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(60, 120, (count, 10, 8, 3)).astype(np.uint8)
    names = list(COLOURS)
    for number, picture in enumerate(pictures):
        picture[2:7, 2:6, number % 3] = 240
    return pictures, [[f"a {names[number % 3]} box", "a box"] for number in range(count)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "boxes.npz"
    save_towers(
        path, *train(*coloured(), channels=4, width=6, steps=80, batch=32, learning_rate=1e-2, seed=3)
    )
    return path


def test_it_tells_pictures_that_it_has_not_seen(weights: Path) -> None:
    encoder = PictureEncoder(str(weights))
    texts = np.stack([encoder.text(f"a {name} box") for name in COLOURS])
    pictures = np.stack([encoder.picture(picture) for picture in coloured(seed=9)[0]])
    assert np.linalg.norm(texts, axis=1) == pytest.approx(1.0)
    assert np.linalg.norm(pictures, axis=1) == pytest.approx(1.0)
    assert ((pictures @ texts.T).argmax(axis=1) == np.arange(60) % 3).mean() > 0.9


def test_a_seed_makes_the_same_numbers(tmp_path: Path) -> None:
    again, other = tmp_path / "again.npz", tmp_path / "other.npz"
    once = tmp_path / "once.npz"
    for path, seed in ((once, 3), (again, 3), (other, 4)):
        save_towers(path, *train(*coloured(), channels=4, width=6, steps=20, batch=32, seed=seed))
    first, same, different = (PictureEncoder(str(path)).text("a red box") for path in (once, again, other))
    assert np.array_equal(first, same)
    assert not np.allclose(first, different)


class Boxes(gym.Env):
    """Shows a box of one colour after the other."""

    observation_space = gym.spaces.Box(0, 255, (10, 8, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0 if seed is None else seed
        return coloured()[0][self.at % 60], {}

    def step(self, action):
        self.at += 1
        return coloured()[0][self.at % 60], 0.0, self.at % 7 == 0, False, {}


def test_rewards_of_pictures_keep_the_contract(weights: Path) -> None:
    phi = GoalSimilarity("a red box", "a box", 0.5, PictureEncoder(str(weights)), "obs")
    check_expression(TaskReward() + Potential(phi, 0.9) + StateReward(phi - 1.0), Boxes, steps=24)


def test_reward_files_name_the_weights_and_their_digest(weights: Path) -> None:
    digest = PictureEncoder(str(weights)).fingerprint()
    text = f"""
    reward:
      state_reward:
        phi:
          goal_similarity:
            goal: a red box
            of: obs
            encoder: {{picture_encoder: {{weights: "{weights}", digest: {digest[:12]!r}}}}}
    """
    expected = GoalSimilarity("a red box", encoder=PictureEncoder(str(weights), digest[:12]), of="obs")
    assert loads(text) == StateReward(expected)
    assert np.isfinite(expected.value(coloured()[0], {})).all()


def test_what_is_wrong_with_weights_is_said(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no weights 'none.npz'.*shapegym encoder"):
        PictureEncoder("none.npz").text("a")
    with pytest.raises(EncoderError, match=r"are others than the reward was written with"):
        PictureEncoder(str(weights), "00").text("a")
    with pytest.raises(EncoderError, match="no weights"):
        PictureEncoder("\0").text("a")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(EncoderError, match=r"damaged, or none"):
        PictureEncoder(str(damaged)).text("a")
    arrays = dict(np.load(weights))
    for name, change in (
        ("words.weight", {"words.weight": arrays["words.weight"] * np.nan}),
        ("words.bias", {"words.bias": arrays["words.bias"][:-1]}),
        ("plan", {"plan": np.array('{"shape": [1, 2], "vocabulary": [], "channels": 1, "width": 1}')}),
        ("huge", {"plan": np.array(str(arrays["plan"]).replace('"width": 6', '"width": 600000000000'))}),
    ):
        broken = tmp_path / f"{name}.npz"
        np.savez(broken, **{**arrays, **change})
        with pytest.raises(EncoderError, match=r"damaged, or none"):
            PictureEncoder(str(broken)).text("a")


def test_words_and_pictures_that_it_does_not_know(weights: Path) -> None:
    encoder = PictureEncoder(str(weights))
    with pytest.raises(EncoderError, match=r"knows no word of 'purple'\. It knows: a, blue, box"):
        encoder.text("purple")
    with pytest.raises(
        EncoderError, match=r"trained on pictures of \(10, 8, 3\), and gets one of \(8, 10, 3\)"
    ):
        encoder.picture(np.zeros((8, 10, 3), np.uint8))


# ---------------------------------------------------------------- material and the command


def test_the_yard_is_drawn_as_it_is_described() -> None:
    pictures, sentences = yard.material(0, rounds=1)
    assert pictures.shape == (50, 20, 20, 3)
    assert len({picture.tobytes() for picture in pictures}) == 50
    best = sentences[int(yard.WANTED.argmax())]
    assert {yard.GOAL, yard.BASELINE} <= set(best)
    assert sum(yard.GOAL in own for own in sentences) == 1
    assert yard.transitions().sum(axis=2) == pytest.approx(np.ones((50, 5)))
    plain = yard.draw(np.ones(50)).astype(float)
    dim = yard.draw(yard.exposures(1, 0.3))
    share = dim.mean(axis=(1, 2, 3)) / plain.mean(axis=(1, 2, 3))
    assert share[::2] == pytest.approx(share[1::2], rel=0.05)


def test_mountain_car_shows_where_it_is() -> None:
    env = gym.make_vec(mountain_car.ID, num_envs=3)
    _, infos = env.reset(seed=0)
    places = (infos["position"] + 1.2) / 1.8 * 255
    assert infos["picture"].dtype == np.uint8
    assert np.array_equal(infos["picture"], mountain_car.album()[np.rint(places).astype(int)])
    assert mountain_car.GOAL in mountain_car.says(0.5)
    assert mountain_car.GOAL not in mountain_car.says(0.47)


def test_the_command_trains_one(tmp_path: Path) -> None:
    path = tmp_path / "yard.npz"
    done = CliRunner().invoke(app, ["encoder", "yard", "--out", str(path), "--steps", "2", "--width", "3"])
    assert done.exit_code == 0, done.output
    assert PictureEncoder(str(path)).picture(yard.draw(np.ones(50))[0]).shape == (3,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yarn", r"no material 'yarn'. Did you mean 'yard'"),
        ("shapegym.experiments.pictured.yard:none", r"has no function 'none'"),
        (
            "shapegym.experiments.pictured.yard:draw",
            r"is no function of a seed that returns pictures and sentences",
        ),
    ],
)
def test_material_that_is_none(name: str, said: str) -> None:
    with pytest.raises(RunError, match=said):
        material_of(name, 0)
