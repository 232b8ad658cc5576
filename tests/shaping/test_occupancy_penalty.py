"""The learned occupancy penalty: its network, what it learns, how it resumes, and what it refuses."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import BaseDataError, ExpressionError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.models.base_data import load_base, save_base, texts_of
from shapegym.shaping.models.discriminator import Discriminator
from shapegym.shaping.terms.occupancy import OccupancyPenalty
from shapegym.shaping.transitions import Experience, Spec, Transitions
from shapegym.shaping.tree import models_of

BOX = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
MOVES = gym.spaces.Discrete(3)
ROWS = tuple((float(i % 4), float(i % 3), 1.0) for i in range(24))


def spec(lanes: int = 1, **changes: Any) -> Spec:
    return replace(Spec(lanes, BOX, MOVES), **changes)


def batch(obs: np.ndarray, action: np.ndarray | None = None, **features: np.ndarray) -> Transitions:
    count = len(obs)
    never = np.zeros(count, dtype=bool)
    return Transitions(
        obs=obs,
        action=np.zeros(count, dtype=np.int64) if action is None else action,
        next_obs=obs,
        reward=np.zeros(count),
        terminated=never,
        truncated=never,
        first=never,
        active=~never,
        features=features,
        next_features=features,
    )


def one_hot(values: np.ndarray, count: int) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[values]


def experience(*steps: Transitions) -> Experience:
    """A block of one lane: every row a step."""
    rows = steps[0]
    arrays = {
        name: {key: values[:, None] for key, values in value.items()}
        if isinstance(value, dict)
        else value[:, None]
        for name, value in vars_of(rows).items()
    }
    return Experience(Transitions(**arrays), np.arange(len(rows.reward)))


def vars_of(transitions: Transitions) -> dict[str, Any]:
    return {
        item.name: getattr(transitions, item.name) for item in fields(Transitions) if item.name != "clock"
    }


def discriminator(term: OccupancyPenalty) -> Discriminator:
    return term.inputs[0]


def measure(term: OccupancyPenalty, seen: Transitions, memory: Any) -> np.ndarray:
    return term.measure(seen, {}, discriminator(term).evaluate(seen, memory))


# ---------------------------------------------------------------- the network


def test_a_constant_column_keeps_its_scale() -> None:
    """The mean of equal numbers is rounded, so their standard deviation need not be 0."""
    rows = tuple((0.1 * (i % 7), 0.1, -3e5) for i in range(1000))
    assert np.array(rows).std(axis=0)[1] > 0
    spread = Discriminator(rows, hidden=2).init(spec()).numbers["spread"]
    assert spread[0] < 1
    assert spread[1:].tolist() == [1.0, 1.0]


# ---------------------------------------------------------------- what it learns


POLICY, BASE = np.array([0.5, 0.3, 0.1, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])


@pytest.fixture(scope="module")
def fitted() -> tuple[OccupancyPenalty, Any, dict[str, float]]:
    """A discriminator of two known distributions over four states, after ten rollouts."""
    rng = np.random.default_rng(0)
    base = one_hot(rng.choice(4, 8000, p=BASE), 4)
    term = OccupancyPenalty(tuple(map(tuple, base.tolist())), hidden=32, divergence="kl")
    model = discriminator(term)
    memory = model.init(spec(observation_space=gym.spaces.Box(0, 1, (4,), np.float32)))
    numbers = {}
    for _ in range(10):
        numbers = model.fit(experience(batch(one_hot(rng.choice(4, 2000, p=POLICY), 4))), memory)
    return term, memory, numbers


def test_it_recovers_a_known_log_ratio(fitted: Any) -> None:
    term, memory, numbers = fitted
    states = batch(np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(-measure(term, states, memory), np.log(POLICY / BASE), atol=0.2)
    assert numbers["kl"] == pytest.approx(float(POLICY @ np.log(POLICY / BASE)), abs=0.1)
    assert numbers["chi2"] == pytest.approx(float((POLICY**2 / BASE).sum() - 1), rel=0.2)
    assert numbers["nonfinite"] == 0
    assert numbers["loss"] < 2 * np.log(2)


@pytest.mark.parametrize("divergence", ["chi2", "sqrt_chi2", "tv"])
def test_every_divergence_is_a_function_of_the_ratio(fitted: Any, divergence: Any) -> None:
    kl, memory, numbers = fitted
    states = batch(np.eye(4, dtype=np.float32))
    ratio = np.exp(-measure(kl, states, memory))
    expected = {
        "chi2": 1 - ratio,
        "sqrt_chi2": (1 - ratio) / np.sqrt(numbers["chi2"]),
        "tv": -np.sign(ratio - 1) / 2,
    }[divergence]
    np.testing.assert_allclose(
        measure(replace(kl, divergence=divergence), states, memory), expected, rtol=1e-9
    )


def test_without_an_estimate_of_chi2_its_root_is_not_divided_by(fitted: Any) -> None:
    kl, memory, _ = fitted
    states = batch(np.eye(4, dtype=np.float32))
    said = {**discriminator(kl).evaluate(states, memory), "chi2": np.full(4, -0.1)}
    paid = [replace(kl, divergence=kind).measure(states, {}, said) for kind in ("chi2", "sqrt_chi2")]
    np.testing.assert_array_equal(*paid)


def test_huge_ratios_are_clipped_and_broken_rows_pay_nothing_and_teach_nothing() -> None:
    term = OccupancyPenalty(ROWS, hidden=4, divergence="chi2")
    model = discriminator(term)
    memory = model.init(spec())
    memory["discriminator"][-1].bias.data.fill_(1e6)
    obs = np.array([[0.0, 0.0, 1.0], [np.nan, 0.0, 1.0], [np.inf, 0.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(measure(term, batch(obs), memory), [-np.expm1(10.0), 0.0, 0.0])
    assert model.fit(experience(batch(obs)), memory)["nonfinite"] == 2
    assert all(parameter.isfinite().all() for parameter in memory.modules.parameters())
    before = memory.state_dict()
    assert model.fit(experience(batch(obs[1:])), memory) == {"nonfinite": 2.0}
    np.testing.assert_equal(memory.state_dict(), before)


def test_it_reads_features_and_actions() -> None:
    rng = np.random.default_rng(0)
    rows = np.hstack([rng.normal(size=(40, 2)), np.eye(3)[rng.integers(3, size=40)]])
    model = Discriminator(tuple(map(tuple, rows.tolist())), keys=("features.position", "obs[1]"), action=True)
    assert model.reads_before == ("position",)
    memory = model.init(spec(action_space=gym.spaces.Discrete(3, start=1)))
    position = rng.normal(size=(5, 1))
    seen = batch(rng.normal(size=(5, 3)), np.array([1, 2, 3, 1, 2]), position=position)
    columns = np.hstack([position, seen.obs[:, 1:2], np.eye(3)[[0, 1, 2, 0, 1]]])
    np.testing.assert_allclose(
        model.rows(seen, memory.numbers), (columns - rows.mean(axis=0)) / rows.std(axis=0)
    )
    with pytest.raises(ObservationError, match="select 6 numbers a lane; the base data has 5"):
        model.evaluate(batch(seen.obs, seen.action, position=np.zeros((5, 2))), memory)


def test_penalties_that_differ_in_the_divergence_share_a_discriminator() -> None:
    both = OccupancyPenalty(ROWS, hidden=4) + 0.5 * OccupancyPenalty(ROWS, hidden=4, divergence="kl")
    assert len(models_of(both)) == 1


# ---------------------------------------------------------------- with the engine


def transitions(rng: np.random.Generator, lanes: int) -> Transitions:
    step = batch(rng.normal(size=(lanes, 3)).astype(np.float32))
    step.reward[:] = rng.normal(size=lanes)
    return step


def engine(lanes: int = 2, seed: int = 0) -> RewardEngine:
    made = RewardEngine(TaskReward() + 0.5 * OccupancyPenalty(ROWS, hidden=8), spec(lanes, seed=seed))
    made.learn_every = 5
    return made


def test_a_resumed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stream = [transitions(rng, 2) for _ in range(26)]
    through, stopped, resumed = engine(), engine(), engine()
    expected = [through.step(step)[0] for step in stream]
    for step in stream[:13]:  # three fits, and three steps that wait for the fourth
        stopped.step(step)
    save_engine(stopped, tmp_path / "state")
    load_engine(resumed, tmp_path / "state")
    for step, paid in zip(stream[13:], expected[13:], strict=True):
        np.testing.assert_array_equal(resumed.step(step)[0], paid)
    assert set(resumed.fitted) == {f"discriminator/{name}" for name in ("loss", "chi2", "kl", "nonfinite")}
    shaped = np.array(expected) - np.array([step.reward for step in stream])
    assert not shaped[:5].any()  # nothing was learnt yet
    assert shaped[5:].all()


def test_the_seed_decides_what_is_learnt() -> None:
    rng = np.random.default_rng(0)
    stream = [transitions(rng, 2) for _ in range(8)]
    one, same, other = (
        [made.step(step)[0] for step in stream] for made in (engine(), engine(), engine(seed=1))
    )
    np.testing.assert_array_equal(one, same)
    assert (np.array(one)[5:] != np.array(other)[5:]).all()


# ---------------------------------------------------------------- base data


def recorded(path: Path, rows: int = 32, **changes: Any) -> str:
    rng = np.random.default_rng(0)
    entries: dict[str, Any] = {
        "obs": rng.normal(size=(rows, 3)).astype(np.float32),
        "action": rng.integers(0, 3, rows),
        "features": {"height": rng.normal(size=(rows, 1))},
        "spaces": texts_of(BOX, MOVES),
    }
    save_base(path, **(entries | changes))
    return str(path)


def test_base_data_comes_back_as_it_was(tmp_path: Path) -> None:
    path = recorded(tmp_path / "base.npz", obs={"image": np.zeros((32, 2, 2)), "goal": np.ones((32, 1))})
    data = load_base(path)
    assert set(data.obs) == {"image", "goal"}
    assert len(data) == 32
    assert load_base(path) is data
    assert data.spaces == texts_of(BOX, MOVES)


def test_a_run_does_not_go_on_with_other_base_data(tmp_path: Path) -> None:
    term = OccupancyPenalty(recorded(tmp_path / "base.npz"), hidden=4)
    model, seen = discriminator(term), experience(batch(np.zeros((4, 3), np.float32)))
    memory = model.init(spec())
    model.fit(seen, memory)
    recorded(tmp_path / "base.npz", rows=33)
    with pytest.raises(BaseDataError, match="not what this reward was begun with"):
        model.fit(seen, memory)


@pytest.mark.parametrize(
    ("changes", "term", "message"),
    [
        (
            {"spaces": texts_of(BOX, gym.spaces.Discrete(4))},
            {},
            r"actions are Discrete\(4\), here they are Discrete\(3\)",
        ),
        ({"obs": np.full((32, 3), np.nan)}, {}, "32 of them not finite"),
        ({"obs": np.zeros((31, 3))}, {}, "different numbers of rows"),
        ({"rows": 15}, {}, "at least 16 rows"),
        ({}, {"keys": ("features.width",)}, "lacks the features width"),
    ],
)
def test_base_data_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], term: dict[str, Any], message: str
) -> None:
    path = recorded(tmp_path / "base.npz", **changes)
    with pytest.raises(BaseDataError, match=message):
        Discriminator(path, hidden=4, **term).init(spec())


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BaseDataError, match=r"There is no base data .*Record it"):
        Discriminator(str(tmp_path / "none.npz")).init(spec())
    (tmp_path / "damaged.npz").write_bytes(Path(recorded(tmp_path / "base.npz")).read_bytes()[:200])
    with pytest.raises(BaseDataError, match="damaged"):
        Discriminator(str(tmp_path / "damaged.npz")).init(spec())
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(BaseDataError, match="damaged, or none"):
        Discriminator(str(tmp_path / "other.npz")).init(spec())
    np.savez(tmp_path / "pickled.npz", obs=np.array([{}], dtype=object))
    with pytest.raises(BaseDataError, match="damaged, or none"):
        Discriminator(str(tmp_path / "pickled.npz")).init(spec())
    with pytest.raises(BaseDataError, match="cannot be written"):
        recorded(tmp_path / "no_folder" / "base.npz")


def test_rows_must_be_equally_long() -> None:
    with pytest.raises(BaseDataError, match="equally long"):
        Discriminator((*ROWS, (1.0,))).init(spec())


def test_actions_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ObservationError, match="cannot read actions"):
        Discriminator(ROWS, action=True).init(spec(action_space=gym.spaces.Text(3)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "base"),
        ({"base": ()}, "base must be"),
        ({"keys": ()}, "keys must be"),
        ({"keys": "obs"}, "keys must be"),
        ({"keys": ("observation!",)}, "not a selector"),
        ({"divergence": "js"}, "divergence must be"),
        ({"action": 1}, "action must be"),
        ({"hidden": 0}, "hidden must be"),
        ({"epochs": True}, "epochs must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((ExpressionError, TypeError), match=message):
        OccupancyPenalty(**({"base": ROWS} if fields and "base" not in fields else {}) | fields)
