"""Temporal distance: the kernel and the loss against the paper in plain loops, its claim in miniature, and bad input."""

from __future__ import annotations

import copy
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from episodic_reference import moving_standard, symmetric_info_nce, temporal_novelty

import shapegym as sg
from shapegym.shaping.arrays import join_rows
from shapegym.shaping.errors import LearningError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.intrinsic.episode_memory import empty_memory, make_room
from shapegym.shaping.intrinsic.etd import ETD, EpisodicDistance, TemporalDistance, later_steps, quasimetric
from shapegym.shaping.kernels.recall import nearest_in_time
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.testing import ScriptedEnv, check_expression, record
from shapegym.shaping.transitions import Episodes, Experience, Spec, Transitions
from shapegym.shaping.weights.standardise import Standardised

SMALL = ETD(width=2, hidden=8)


def test_the_nearest_earlier_state_is_that_of_plain_loops() -> None:
    generator = np.random.default_rng(0)
    steps, lanes, size = 150, 3, 70
    after = generator.integers(0, 4, (steps, lanes, 4)).astype(np.float32)  # some states come again
    after += np.where(generator.random((steps, lanes, 1)) < 0.7, generator.random((steps, lanes, 4)), 0.0)
    before = np.concatenate([after[:1] + 1.0, after[:-1]])
    first = generator.random((steps, lanes)) < [0.0, 0.02, 0.5]
    first[0] = True
    active = generator.random((steps, lanes)) < 0.9
    active[first] = True
    memory = empty_memory(lanes, size, codes=4)
    nearest = np.full(lanes, np.nan, np.float32)
    told = np.full((steps, lanes), np.nan, np.float32)
    for t in range(steps):
        make_room(memory, size, "codes")
        rows = before[t], after[t], first[t], active[t]
        nearest_in_time(*rows, size, memory["codes"], memory["counts"], nearest)
        told[t] = np.where(active[t], nearest, np.nan)
    np.testing.assert_array_equal(told, temporal_novelty(before, after, first, active, size))
    assert memory["counts"][0] > size  # the oldest were written over
    assert memory["codes"].shape == (lanes, 4, size)
    assert len(nearest_in_time.signatures) == 1


def test_the_model_follows_the_gradient_of_the_transcription() -> None:
    model = TemporalDistance(
        width=2, hidden=8, share=1.0, batch=10_000, discount=1e-9
    )  # the next step follows
    spec, stream = _bound(EpisodicDistance(model), steps=6)
    memory = model.init(spec)
    twin = copy.deepcopy(memory)
    rows = {side: np.stack([getattr(step, side) for step in stream]) for side in ("obs", "next_obs")}
    active = np.stack([step.active for step in stream])
    x, y = (torch.from_numpy(rows[side][active].astype(np.float32)) for side in ("obs", "next_obs"))
    codes = [twin["code"](twin["trunk"](states)) for states in (x, y)]
    loss = symmetric_info_nce(*codes, twin["potential"](twin["trunk"](y))[:, 0])
    loss.backward()
    told = model.fit(_experience(stream), memory, {"before": rows["obs"], "after": rows["next_obs"]})
    assert told["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for ours, theirs in zip(memory.modules.parameters(), twin.modules.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_later_states_are_of_the_same_episode_and_come_at_a_geometric_distance() -> None:
    first, ended, active = (np.zeros((40, 2), dtype=bool) for _ in range(3))
    active[:] = True
    ended[[4, 19], 0] = True  # 0..4, 5..19, 20..39 in lane 0
    first[[0, 5, 20], 0] = True
    active[10, 1] = False  # 0..9, 11..39 in lane 1
    first[11, 1] = True
    episodes = Episodes(first, ended, np.zeros_like(ended), active)
    starts = np.flatnonzero(active.ravel())
    counts = np.zeros(35)
    quantiles = (np.arange(1000) + 0.5) / 1000
    for quantile in quantiles:
        steps, lanes = later_steps(episodes, np.full(len(starts), quantile), 0.9)
        t = starts // 2
        assert (steps >= t).all()
        assert (lanes == starts % 2).all()
        assert (np.searchsorted([5, 20], steps, "right") == np.searchsorted([5, 20], t, "right"))[
            lanes == 0
        ].all()
        assert ((steps < 10) == (t < 10))[lanes == 1].all()
        counts[steps[0]] += 1  # of the first step of lane 0: 0..4
    wanted = 0.9 ** np.arange(5)
    np.testing.assert_allclose(counts[:5] / 1000, wanted / wanted.sum(), atol=2e-3)


def test_distance_is_learned_in_steps_and_not_in_looks() -> None:
    """States of a ring look unlike each other, whether they are near or not; half of what is seen is noise."""
    ring, lanes, steps = 12, 32, 64
    generator = np.random.default_rng(0)
    looks = generator.standard_normal((ring, 6)).astype(np.float32)
    model = TemporalDistance(width=8, hidden=32, discount=0.8, learning_rate=3e-3, share=1.0, batch=128)
    spec = Spec(lanes, gym.spaces.Box(-9, 9, (12,)), gym.spaces.Discrete(2))
    memory = model.init(spec)

    def seen(places: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [looks[places], generator.standard_normal((*places.shape, 6)).astype(np.float32)], -1
        )

    for _ in range(6):
        places = np.cumsum(generator.choice([-1, 1], (steps + 1, lanes)), axis=0) % ring
        states = seen(places)
        no = np.zeros((steps, lanes), dtype=bool)
        rows = Transitions(states[:-1], no, states[1:], np.zeros((steps, lanes)), no, no, no, ~no)
        model.fit(Experience(rows, np.arange(steps)), memory, {"before": states[:-1], "after": states[1:]})
    with torch.no_grad():
        shown = torch.from_numpy(seen(np.tile(np.arange(ring), 20)))
        codes = memory["code"](memory["trunk"](shown))
        distance = quasimetric(codes, codes).numpy().reshape(20, ring, 20, ring).mean(axis=(0, 2))
    apart = np.abs(np.subtract.outer(np.arange(ring), np.arange(ring)))
    apart = np.minimum(apart, ring - apart)
    by_steps = [distance[apart == k].mean() for k in range(ring // 2 + 1)]
    assert np.all(np.diff(by_steps[:5]) > 0)
    assert by_steps[4] > 1.5 * by_steps[0], by_steps


def test_a_bonus_is_standardised_as_in_plain_loops() -> None:
    spec, stream = _bound(sg.TaskReward() + Standardised(sg.TaskReward()), steps=48)
    engine = RewardEngine(Standardised(sg.TaskReward()), spec, learn_every=None)
    wanted, told = [], []
    for start in (0, 16, 32):
        for step in stream[start : start + 16]:
            engine.measure(step)
        active = np.stack([step.active for step in stream[start : start + 16]])
        told.append(engine.learn()[engine.term_names.index("standardised")][active])
        wanted.append(np.stack([step.reward for step in stream[start : start + 16]])[active].tolist())
    for ours, theirs in zip(told, moving_standard(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize(
    "reward", [SMALL, sg.TaskReward() + 0.01 * ETD(width=2, hidden=8, memory=5)], ids=str
)
def test_a_resumed_run_goes_on_to_the_bit(reward: sg.Expression, tmp_path: Path) -> None:
    spec, stream = _bound(reward, steps=40)
    whole, half, resumed = (RewardEngine(reward, spec, learn_every=None) for _ in range(3))
    _learn(whole, stream[:13]), _learn(half, stream[:13])
    for step in stream[13:20]:
        half.measure(step)
    save_engine(half, tmp_path / "state.npz")
    load_engine(resumed, tmp_path / "state.npz")
    for step in stream[20:]:
        resumed.measure(step)
    np.testing.assert_array_equal(_learn(whole, stream[13:]), resumed.learn())


@pytest.mark.parametrize(
    ("lanes", "ends"), [(1, False), (2, True), (3, False)], ids=["one lane", "episodes of one step", "no end"]
)
def test_constant_observations_are_never_new(lanes: int, ends: bool) -> None:
    reward = ETD(width=2, hidden=8, memory=8)
    spec = Spec(lanes, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2))
    engine = RewardEngine(reward, spec, learn_every=None)
    same, over = np.full((lanes, 3), 0.5, np.float32), np.full(lanes, ends)
    no = np.zeros(lanes, dtype=bool)
    for t in range(100):
        engine.measure(
            Transitions(same, no, same, np.zeros(lanes), over, no, np.full(lanes, ends or t == 0), ~no)
        )
    parts = dict(zip(engine.term_names, engine.learn(), strict=True))
    np.testing.assert_allclose(parts["episodic_distance"], 1e-4, rtol=1e-4, atol=1e-7)  # float32
    np.testing.assert_allclose(parts["etd"], 0.0, atol=1e-2)  # rounding, at unit scale


def test_what_is_remembered_of_an_endless_episode_is_bounded() -> None:
    term = EpisodicDistance(TemporalDistance(width=2, hidden=8), memory=80)
    state = term.init(Spec(2, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2)))
    generator = np.random.default_rng(0)
    no, sizes = np.zeros(2, dtype=bool), set()
    for t in range(300):
        codes = generator.standard_normal((2, 4)).astype(np.float32)
        step = Transitions(codes, no, codes, np.zeros(2), no, no, np.full(2, t == 0), ~no)
        term.observe(step, state, {"before": codes, "after": codes})
        sizes.add(state["codes"].shape[2])
    assert sizes == {64, 80}


def test_observations_that_cannot_be_read_are_named() -> None:
    spec, stream = _bound(SMALL, steps=4)
    engine = RewardEngine(SMALL, spec, learn_every=None)
    stream[0].next_obs[1] = np.nan
    engine.measure(stream[0])
    with pytest.raises(LearningError, match="not finite"):
        engine.learn()
    with pytest.raises(ObservationError, match="obs"):
        record(SMALL, lambda: ScriptedEnv("dict"), lanes=2, steps=4)


def test_grids_of_symbols_are_read() -> None:
    reward = sg.TaskReward() + 0.01 * ETD(Sight(("obs.image",)), width=2, hidden=8)
    check_expression(reward, "shapegym/MiniGrid-DoorKey-5x5-v0", steps=24)


def _bound(expression: sg.Expression, steps: int = 24) -> tuple[Spec, list[Transitions]]:
    spec, stream = record(expression, ScriptedEnv, lanes=3, steps=steps)
    return spec, [step for step in stream if step.active.any()]


def _learn(engine: RewardEngine, stream: list[Transitions]) -> np.ndarray:
    for step in stream:
        engine.measure(step)
    return engine.learn()


def _experience(stream: list[Transitions]) -> Experience:
    return Experience(join_rows(np.stack, stream), np.arange(len(stream)))
