"""DEIR: novelty and loss against the paper in plain loops, its claim in miniature, and bad input."""

from __future__ import annotations

import copy
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from episodic_reference import codes_of_trajectories, discriminator_loss, off_path_novelty

import shapegym as sg
from shapegym.shaping.arrays import join_rows
from shapegym.shaping.errors import LearningError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.intrinsic.deir import DEIR, EpisodicDiscriminator
from shapegym.shaping.kernels.recall import nearest_off_path
from shapegym.shaping.models.sight import Sight
from shapegym.shaping.testing import ScriptedEnv, check_expression, record
from shapegym.shaping.transitions import Experience, Spec, Transitions

SMALL = DEIR(width=3, hidden=8, queue=16)


@pytest.mark.parametrize("gru", [True, False])
def test_a_rollout_is_judged_by_the_quotients_of_plain_loops(gru: bool) -> None:
    model = EpisodicDiscriminator(width=3, hidden=8, queue=16, gru=gru, memory=5)
    reward = sg.ModelOutput(model)
    spec, stream = _bound(reward, steps=30)
    engine = RewardEngine(reward, spec, learn_every=None)
    networks = copy.deepcopy(engine.memories[-1]).modules
    told = _learn(engine, stream)[0]
    before, after, first, active = (
        np.stack([getattr(step, name) for step in stream]) for name in ("obs", "next_obs", "first", "active")
    )
    cell = networks["cell"] if gru else lambda code, hidden: code
    codes = codes_of_trajectories(networks["eye"], cell, before, after, first, active)
    wanted = off_path_novelty(*codes, first, active, size=5)
    np.testing.assert_allclose(told[active], wanted[active], rtol=2e-3, atol=1e-6)


def test_the_kernel_is_that_of_plain_loops() -> None:
    generator = np.random.default_rng(0)
    steps, lanes, size = 60, 3, 20
    after, path = (generator.integers(0, 3, (steps, lanes, 3)).astype(np.float32) for _ in range(2))
    after += np.where(generator.random((steps, lanes, 1)) < 0.6, generator.random((steps, lanes, 3)), 0.0)
    before = np.concatenate([after[:1] + 1.0, after[:-1]])
    first = generator.random((steps, lanes)) < [0.0, 0.05, 0.5]
    first[0] = True
    active = first | (generator.random((steps, lanes)) < 0.9)
    codes, paths = (np.zeros((lanes, 3, size), np.float32) for _ in range(2))
    counts, nearest = np.zeros(lanes, np.int64), np.zeros(lanes, np.float32)
    told = np.full((steps, lanes), np.nan, np.float32)
    for t in range(steps):
        rows = before[t], after[t], path[t], first[t], active[t]
        nearest_off_path(*rows, size, codes, paths, counts, nearest)
        told[t] = np.where(active[t], nearest, np.nan)
    np.testing.assert_array_equal(told, off_path_novelty(before, after, path, first, active, size))
    assert counts[0] > size
    assert len(nearest_off_path.signatures) == 1


def test_the_discriminator_follows_the_gradient_of_the_transcription() -> None:
    model = EpisodicDiscriminator(width=3, hidden=8, queue=1, share=1.0, batch=10_000)
    spec, stream = _bound(sg.ModelOutput(model), steps=12)
    memory = model.init(spec)
    for step in stream[:6]:
        model.observe(step, memory, {"before": step.obs, "after": step.next_obs})
    memory.numbers |= {"start": memory.numbers["way"].copy()}
    false = memory.numbers["queue"][0] = stream[8].next_obs[0]  # true of that step, and false of others
    memory.numbers["queued"] = 1
    twin, way = copy.deepcopy(memory), memory.numbers["start"]
    stream = stream[6:]
    before, after, action = (
        np.stack([getattr(step, name) for step in stream]) for name in ("obs", "next_obs", "action")
    )
    active, ways = np.stack([step.active for step in stream]), []
    for step in stream:
        way = np.where(step.first[:, None], np.float32(0.0), way)
        ways.append(way)
        with torch.no_grad():
            code = twin["eye"](torch.from_numpy(step.obs.astype(np.float32)))
            way = np.where(step.active[:, None], twin["cell"](code, torch.from_numpy(way)).numpy(), way)
    rows = [values[active] for values in (before, action, after)]
    loss = discriminator_loss(twin, *rows, np.broadcast_to(false, rows[0].shape), np.stack(ways)[active])
    loss.backward()
    told = model.fit(_experience(stream), memory, {"before": before, "after": after})
    assert told["loss"] == pytest.approx(loss.item(), rel=1e-4)
    for ours, theirs in zip(memory.modules.parameters(), twin.modules.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6)


def test_only_observations_that_are_new_are_queued_after_the_first_rollout() -> None:
    model = EpisodicDiscriminator(width=3, hidden=8, queue=1000)
    reward = sg.ModelOutput(model)
    spec, stream = _bound(reward, steps=48)
    engine = RewardEngine(reward, spec, learn_every=None)
    _learn(engine, stream[:20])
    numbers = engine.memories[-1].numbers
    seen = np.concatenate([step.next_obs[step.active] for step in stream[:20]])
    assert numbers["queued"] == len(seen)
    np.testing.assert_allclose(numbers["queue"][: len(seen)], seen, rtol=1e-6)
    mean = numbers["mean"]
    novelty = _learn(engine, stream[20:])[0]
    active = np.stack([step.active for step in stream[20:]])
    assert numbers["queued"] == len(seen) + np.count_nonzero(novelty[active] >= np.float32(mean))
    assert numbers["mean"] == pytest.approx(0.9 * mean + 0.1 * novelty[active].mean())


def test_what_was_seen_in_the_episode_is_worth_less_than_what_was_not() -> None:
    """Eight rooms in a row: what the episode has not seen is worth much, what it has seen nothing, and so in every episode."""
    lanes, rooms = 16, 8
    generator = np.random.default_rng(0)
    looks = generator.standard_normal((rooms, 6)).astype(np.float32)
    reward = DEIR(width=8, hidden=32, share=1.0, learning_rate=3e-3, queue=512, scale="none")
    spec = Spec(lanes, gym.spaces.Box(-9, 9, (6,)), gym.spaces.Discrete(2))
    engine = RewardEngine(reward, spec, learn_every=None)
    new, old = [], []
    for number in range(8):
        places = np.concatenate(
            [np.zeros((1, lanes), int), np.abs(np.cumsum(generator.choice([-1, 1], (40, lanes)), 0)) % rooms]
        )
        no = np.zeros(lanes, dtype=bool)
        for t in range(40):
            moved = (places[t + 1] > places[t]).astype(int)
            ends = np.full(lanes, t == 39)
            engine.measure(
                Transitions(
                    looks[places[t]],
                    moved,
                    looks[places[t + 1]],
                    np.zeros(lanes),
                    ends,
                    no,
                    np.full(lanes, t == 0),
                    ~no,
                )
            )
        paid = engine.learn()[-1]
        if number:
            visited = np.array(
                [[places[t + 1, i] in places[: t + 1, i] for i in range(lanes)] for t in range(40)]
            )
            new.append(paid[~visited].mean())
            old.append(paid[visited].mean())
    assert np.min(new) > 0.1
    assert np.max(old) < 1e-3


@pytest.mark.parametrize("learn_every", [None, 7])
def test_a_resumed_run_goes_on_to_the_bit(learn_every: int | None, tmp_path: Path) -> None:
    reward = sg.TaskReward() + 0.01 * DEIR(width=3, hidden=8, queue=16, memory=4)
    spec, stream = _bound(reward, steps=40)
    whole, half, resumed = (RewardEngine(reward, spec, learn_every=learn_every) for _ in range(3))
    for step in stream[:13]:
        whole.measure(step), half.measure(step)
    if learn_every is None:
        whole.learn(), half.learn()
    for step in stream[13:20]:
        half.measure(step)
    save_engine(half, tmp_path / "state.npz")
    load_engine(resumed, tmp_path / "state.npz")
    parts = [whole.measure(step).copy() for step in stream[13:]][7:]
    again = [resumed.measure(step).copy() for step in stream[20:]]
    np.testing.assert_array_equal(parts, again)
    np.testing.assert_array_equal(whole.learn(), resumed.learn())


@pytest.mark.parametrize(
    ("lanes", "ends"), [(1, False), (2, True), (3, False)], ids=["one lane", "episodes of one step", "no end"]
)
def test_constant_observations_are_worth_nothing_and_what_is_remembered_is_bounded(
    lanes: int, ends: bool
) -> None:
    reward = DEIR(width=3, hidden=8, memory=8, queue=5)
    spec = Spec(lanes, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Discrete(2))
    engine = RewardEngine(reward, spec, learn_every=None)
    same, over, no = np.full((lanes, 3), 0.5, np.float32), np.full(lanes, ends), np.zeros(lanes, dtype=bool)
    for start in (0, 50):
        for t in range(start, start + 50):
            first = np.full(lanes, ends or t == 0)
            engine.measure(Transitions(same, no.astype(int), same, np.zeros(lanes), over, no, first, ~no))
        parts = engine.learn()
    np.testing.assert_allclose(parts, 0.0, atol=1e-5)
    numbers = engine.memories[-1].numbers
    assert numbers["codes"].shape == numbers["paths"].shape == (lanes, 3, 8)
    assert numbers["queue"].shape == (5, 3)


def test_what_cannot_be_read_is_named() -> None:
    spec, stream = _bound(SMALL, steps=4)
    engine = RewardEngine(SMALL, spec, learn_every=None)
    stream[0].next_obs[1] = np.nan
    engine.measure(stream[0])
    with pytest.raises(LearningError, match="not finite"):
        engine.learn()
    with pytest.raises(ObservationError, match="obs"):
        record(SMALL, lambda: ScriptedEnv("dict"), lanes=2, steps=4)
    with pytest.raises(ObservationError, match="actions"):
        SMALL.raw.model.init(Spec(2, gym.spaces.Box(-1, 1, (3,)), gym.spaces.Text(3)))


def test_grids_of_symbols_are_read_and_queued_as_bytes() -> None:
    see = Sight(("obs.image",))
    check_expression(
        sg.TaskReward() + 0.01 * DEIR(see, 3, 8, queue=16), "shapegym/MiniGrid-DoorKey-5x5-v0", steps=24
    )
    spec, _ = record(sg.ModelOutput(see), "shapegym/MiniGrid-DoorKey-5x5-v0", lanes=2, steps=2)
    queue = EpisodicDiscriminator(see, width=3).init(spec).numbers["queue"]
    assert queue.dtype == np.uint8
    assert queue.shape == (100_000, 147)


def _bound(expression: sg.Expression, steps: int) -> tuple[Spec, list[Transitions]]:
    spec, stream = record(expression, ScriptedEnv, lanes=3, steps=steps)
    return spec, [step for step in stream if step.active.any()]


def _learn(engine: RewardEngine, stream: list[Transitions]) -> np.ndarray:
    for step in stream:
        engine.measure(step)
    return engine.learn()


def _experience(stream: list[Transitions]) -> Experience:
    return Experience(join_rows(np.stack, stream), np.arange(len(stream)))
