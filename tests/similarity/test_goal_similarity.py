"""Similarity to a goal in words: the formula, what can be compared, each surface, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping import Potential, StateReward, TaskReward, guarantee_of
from shapegym.shaping.errors import EncoderError, ExpressionError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.promises import Keeps
from shapegym.shaping.similarity.encoder import LONGEST_TEXT, Encoder, unit
from shapegym.shaping.similarity.goal import GoalSimilarity, similarity, text_of
from shapegym.shaping.similarity.recall import Recall
from shapegym.shaping.similarity.words import WordHash
from shapegym.shaping.testing import check_expression
from shapegym.shaping.transitions import Spec

DISCRETE, BOX = gym.spaces.Discrete(2), gym.spaces.Box(-1.0, 1.0, (2,), np.float32)


@dataclass(frozen=True)
class Seeing(Encoder):
    """Texts by their words, pictures by the mean of each channel."""

    sees: ClassVar[bool] = True

    def text(self, text: str) -> np.ndarray:
        colours = np.array([text.count(word) for word in ("red", "green", "blue")]) + 1e-3
        return unit(colours)

    def picture(self, picture: np.ndarray) -> np.ndarray:
        return unit(picture.mean(axis=(0, 1)) + 1e-3)


@dataclass(frozen=True)
class Counting(WordHash):
    """Notes what it is asked."""

    asked: ClassVar[list[str]] = []

    def text(self, text: str) -> np.ndarray:
        self.asked.append(text)
        return super().text(text)


class Telling(gym.Env[Any, Any]):
    """An environment whose one feature plays a list."""

    def __init__(self, shown: Sequence[Any], space: gym.Space | None = None, name: str = "caption") -> None:
        self.observation_space, self.action_space = BOX, DISCRETE
        self.features = None if space is None else {name: space}
        self._shown, self._name = list(shown), name

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._at = 0
        return self._seen()

    def step(self, action: Any) -> Any:
        self._at += 1
        obs, info = self._seen()
        return obs, 0.0, self._at + 1 == len(self._shown), False, info

    def _seen(self) -> tuple[np.ndarray, dict[str, Any]]:
        return np.full(2, self._at / 10, np.float32), {self._name: self._shown[self._at]}


def in_bytes(text: str, length: int = 32) -> np.ndarray:
    return np.frombuffer(text.encode().ljust(length, b"\0"), np.uint8)


BYTES = gym.spaces.Box(0, 255, (32,), np.uint8)
STORY = ["", "you walk", "you take the key", "you open the door", "you walk", "you reach the goal"]


def values(phi: GoalSimilarity, shown: Sequence[Any], **features: Any) -> np.ndarray:
    return phi.value(np.zeros((len(shown), 2)), {"caption": np.array(shown), **features})


# ---------------------------------------------------------------- the formula


def by_matrices(x: np.ndarray, g: np.ndarray, b: np.ndarray, alpha: float) -> float:
    """1 - |(x - g) P|^2 / 2, written out."""
    n = len(x)
    d = [g[i] - b[i] for i in range(n)]
    length = sum(number**2 for number in d)
    P = [[alpha * d[i] * d[j] / length + (1 - alpha) * (i == j) for j in range(n)] for i in range(n)]
    moved = [sum((x[i] - g[i]) * P[i][j] for i in range(n)) for j in range(n)]
    return 1 - sum(number**2 for number in moved) / 2


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_value_is_that_of_the_paper(alpha: float) -> None:
    encoder = WordHash(16)
    goals, baselines = ("the door is open", "an open door"), ("a door", "the agent is in a room")
    phi = GoalSimilarity(goals, baselines, alpha, encoder)
    g, b = (np.mean([encoder.text(text) for text in texts], axis=0) for texts in (goals, baselines))
    shown = ["the door is open", "you walk", "a door"]
    expected = [by_matrices(encoder.text(text), g, b, alpha) for text in shown]
    assert values(phi, [in_bytes(text) for text in shown]) == pytest.approx(expected, abs=1e-12)


def test_without_a_baseline_it_is_the_cosine() -> None:
    encoder = WordHash()
    phi = GoalSimilarity("you open the door", encoder=encoder)
    cosines = [encoder.text(text) @ encoder.text("you open the door") for text in STORY[1:]]
    assert values(phi, [in_bytes(text) for text in STORY]) == pytest.approx([0.0, *cosines])
    assert values(phi, [in_bytes("You open the door!")])[0] == pytest.approx(1.0)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_it_is_bounded_by_1(seed: int, alpha: float) -> None:
    x, g, b = map(unit, np.random.default_rng(seed).normal(size=(3, 5)))
    along = unit(g - b)
    assert -1 - 1e-9 <= similarity(x, g, along, alpha) <= 1 + 1e-9
    assert similarity(g, g, along, alpha) == 1.0


def test_what_lies_across_counts_less_with_alpha_and_not_at_all_at_1() -> None:
    g, along = np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])
    across = np.array([1.0, 0.6, 0.8])
    assert [similarity(across, g, along, alpha) for alpha in (0.0, 0.5, 1.0)] == pytest.approx(
        [0.5, 0.875, 1.0]
    )


# ---------------------------------------------------------------- what is compared


@pytest.mark.parametrize(
    "shown",
    [
        [in_bytes(text) for text in STORY],
        STORY,
        [text or None for text in STORY],
        [text.encode() for text in STORY],
    ],
    ids=["bytes", "texts", "None", "bytes objects"],
)
def test_texts_come_in_any_form(shown: list[Any]) -> None:
    phi = GoalSimilarity("you open the door", "you walk", 0.5)
    assert np.array_equal(values(phi, shown), values(phi, [in_bytes(text) for text in STORY]))


def test_a_mission_is_another_goal_in_each_lane() -> None:
    phi = GoalSimilarity("features.mission", "the agent is in a room", 0.4)
    missions = ["pick up the blue ball", "pick up the red box", "pick up the blue ball", ""]
    shown = [in_bytes(text) for text in ("you see the blue ball", "you see the blue ball", "", "you walk")]
    found = values(phi, shown, mission=np.array([in_bytes(text) for text in missions]))
    alone = [
        values(GoalSimilarity(mission, "the agent is in a room", 0.4), [text])[0] if mission else 0.0
        for mission, text in zip(missions, shown, strict=True)
    ]
    assert found.tolist() == alone
    assert found[0] > found[1]
    assert phi.reads == ("mission", "caption")


def test_a_picture_is_compared_by_an_encoder_that_sees() -> None:
    phi = GoalSimilarity("red", "red green blue", 0.5, Seeing(), "obs")
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    pictures[0, :, :, 0] = pictures[1, :, :, 2] = 200
    pictures[2, :2, :, 0] = pictures[2, 2:, :, 2] = 200
    found = phi.value(pictures, {})
    assert found[0] > found[2] > found[1]


def test_hostile_texts_are_defined() -> None:
    phi = GoalSimilarity("you open the door")
    huge = "walk " * 100_000
    shown = [b"\xff\xfe you open the door \x80", huge.encode(), "\ud800 open", " \n ", "!!!", "\0\0"]
    found = values(phi, np.array(shown, dtype=object))  # type: ignore[arg-type]
    assert np.isfinite(found).all()
    assert found[0] > 0.5
    assert found[3] == found[5] == 0.0
    assert values(phi, [huge])[0] == values(phi, [huge[:LONGEST_TEXT]])[0]
    assert text_of(np.array([200, 97, 0, 0], np.uint8)) == "\N{REPLACEMENT CHARACTER}a"


# ---------------------------------------------------------------- what is remembered


def test_a_text_is_coded_once() -> None:
    phi = GoalSimilarity("you open a window", encoder=Counting(31))
    Counting.asked.clear()
    shown = [in_bytes(f"you open box {number % 5}") for number in range(4096)]
    first = values(phi, shown)
    assert sorted(Counting.asked) == sorted(["you open a window", *(f"you open box {i}" for i in range(5))])
    assert np.array_equal(values(phi, shown[::-1]), first[::-1])
    assert len(Counting.asked) == 6


def test_a_memory_is_bounded_and_forgets_the_oldest() -> None:
    made: list[int] = []

    def make(row: int) -> float:
        made.append(row)
        return float(row)

    recall = Recall(most=3)
    rows = np.arange(5, dtype=np.uint8)[:, None]
    assert recall.of([rows], make).tolist() == [0, 1, 2, 3, 4]
    assert len(recall) == 3
    recall.of([rows[2:]], make)
    assert made == [0, 1, 2, 3, 4]
    recall.of([rows[:1]], make)
    assert made == [0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("width", [1, 3, 4, 30])
@pytest.mark.parametrize("count", [1, 7, 3000])
def test_equal_rows_are_told_from_others(count: int, width: int) -> None:
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 3, (count, width), dtype=np.uint8)
    own = rng.integers(0, 2, (count, 2), dtype=np.uint8)
    names = [(*a, *b) for a, b in zip(rows.tolist(), own.tolist(), strict=True)]
    numbers = {name: float(place) for place, name in enumerate(dict.fromkeys(names))}
    found = Recall().of([rows, own], lambda row: numbers[names[row]])
    assert found.tolist() == [numbers[name] for name in names]


def test_codes_do_not_depend_on_the_company() -> None:
    phi = GoalSimilarity("the lamp is on", "a lamp", 0.7)
    shown = [in_bytes(f"lamp {n} is on" if n % 2 else f"the sink {n}") for n in range(64)]
    together = values(phi, shown)
    again = GoalSimilarity("the lamp is on", "a lamp", 0.7, WordHash(256), "features.caption")
    assert [values(again, [one])[0] for one in shown] == together.tolist()


# ---------------------------------------------------------------- as a reward


@pytest.mark.parametrize(
    "env",
    [
        lambda: Telling([in_bytes(text) for text in STORY], BYTES),
        lambda: Telling([in_bytes(text) for text in STORY]),
        lambda: Telling(STORY),
    ],
    ids=["declared", "undeclared", "strings"],
)
def test_it_keeps_the_contract(env: Any) -> None:
    phi = GoalSimilarity("you reach the goal", ("you walk", "you turn"), 0.5)
    check_expression(TaskReward() + Potential(phi, gamma=0.9) + 0.1 * StateReward(phi - 1.0), env)


def test_as_a_potential_it_keeps_optimal_policies() -> None:
    phi = GoalSimilarity("you reach the goal")
    assert guarantee_of(TaskReward() + Potential(phi, 0.9)).keeps & Keeps.POLICIES
    assert guarantee_of(StateReward(phi)).bound == 1.0


def test_reward_files_spell_it() -> None:
    text = """
    reward:
      sum:
        - task_reward
        - potential:
            phi:
              goal_similarity:
                goal: [the door is open, an open door]
                baseline: a door
                alpha: 0.5
                encoder: {word_hash: 64}
    """
    phi = GoalSimilarity(("the door is open", "an open door"), "a door", 0.5, WordHash(64))
    assert loads(text) == TaskReward() + Potential(phi)
    assert loads(dumps(StateReward(phi))) == StateReward(phi)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"goal": " "}, "must be sentences that say something"),
        ({"goal": ()}, "goal must be"),
        ({"goal": ("a", "")}, "must be sentences that say something"),
        ({"goal": "a", "alpha": 0.5}, "needs a baseline"),
        ({"goal": "a", "baseline": "b", "alpha": 1.5}, r"alpha must be a finite number in \[0, 1\]"),
        ({"goal": "a", "baseline": ("a",)}, "the baseline says the same"),
        ({"goal": "a", "of": "features.caption[0]"}, "a whole text or picture"),
        ({"goal": "a", "of": "action"}, "a whole text or picture"),
        ({"goal": "a", "encoder": "minilm"}, r"encoder such as WordHash\(\)"),
    ],
)
def test_fields_that_make_no_sense(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ExpressionError, match=said):
        GoalSimilarity(**fields)


def bind(phi: GoalSimilarity, **features: gym.Space) -> None:
    RewardEngine(StateReward(phi), Spec(1, BOX, DISCRETE, features))


def test_baselines_that_the_encoder_cannot_tell_from_the_goal() -> None:
    with pytest.raises(ExpressionError, match="are the same, so there is no direction"):
        bind(GoalSimilarity("open the door", "the door, open", 0.5), caption=BYTES)
    phi = GoalSimilarity("features.mission", "the door, open", 0.5)
    with pytest.raises(ExpressionError, match="are the same, so there is no direction"):
        values(phi, [in_bytes("a")], mission=np.array([in_bytes("open the door")]))


def test_what_is_neither_text_nor_picture() -> None:
    floats = gym.spaces.Box(0.0, 1.0, (3,), np.float32)
    with pytest.raises(
        ObservationError, match=r"compares a text .* or a picture .*'features.caption' is Box"
    ):
        bind(GoalSimilarity("a"), caption=floats)
    with pytest.raises(ObservationError, match=r"'obs' is Box"):
        bind(GoalSimilarity("a", of="obs"))
    with pytest.raises(ObservationError, match=r"'features.caption' is float64 of shape \(3,\)"):
        values(GoalSimilarity("a"), np.zeros((2, 3)))  # type: ignore[arg-type]
    with pytest.raises(ObservationError, match=r"'features.caption' is 3"):
        values(GoalSimilarity("a"), np.array(["a", 3], dtype=object))  # type: ignore[arg-type]


def test_a_picture_needs_an_encoder_that_sees() -> None:
    picture = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
    with pytest.raises(EncoderError, match=r"WordHash encodes texts, and 'features.picture' is a picture"):
        bind(GoalSimilarity("a", of="features.picture"), picture=picture)
    with pytest.raises(
        EncoderError, match=r"WordHash encodes texts, not pictures such as this one of shape \(8, 8, 3\)"
    ):
        values(GoalSimilarity("a"), np.zeros((1, 8, 8, 3), np.uint8))  # type: ignore[arg-type]
