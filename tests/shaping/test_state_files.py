"""State files: what is saved comes back to the last bit, and nothing else is taken for it."""

from __future__ import annotations

import json
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stream_reference import random_stream

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.combinators.gate import gate
from shapegym.shaping.errors import StateFileError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.state_files import load_engine, load_state, save_engine, save_state
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.terms.events import Compare, Milestones
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.weights.normalize import normalize

TASK = TaskReward()
FACTS = {"expression": TASK, "num_lanes": 2}
BOX = gym.spaces.Box(-9, 9, (3,))


def same(left, right) -> bool:
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(left[k], right[k]) for k in left)
        )
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        )
    return type(left) is type(right) and (left == right or left != left)  # noqa: PLR0124  (NaN)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ARRAYS = st.builds(
    lambda dtype, shape, order: np.asarray(
        np.arange(np.prod(shape, dtype=int)).reshape(shape), dtype=dtype, order=order
    ),
    st.sampled_from(["f8", "f4", "i8", "u1", "?", ">i4", "U3"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from("CF"),
)
KEYS = st.text(min_size=1, max_size=8).filter(lambda key: "/" not in key and "\x00" not in key)
STATES = st.dictionaries(
    KEYS, st.recursive(SCALARS | ARRAYS, lambda leaf: st.dictionaries(KEYS, leaf, max_size=3), max_leaves=6)
)


@given(STATES)
def test_states_come_back(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("states") / "a.state"
    save_state(path, state, **FACTS)
    assert same(load_state(path, **FACTS), state)


def test_values_of_every_kind(tmp_path):
    path = tmp_path / "state.npz"
    rng = np.random.default_rng(3)
    state = {
        "file": np.arange(3),  # a parameter's name of np.savez
        "rng": rng.bit_generator.state,  # integers of 128 bits
        "tensor": torch.arange(4.0)[::2],
        "strided": np.arange(10)[::3],
        "number": np.float32(0.5),
        "empty": {"nothing": {}},
        "infinite": -np.inf,
    }
    save_state(path, state, **FACTS)
    loaded = load_state(path, **FACTS)
    assert loaded["rng"] == rng.bit_generator.state
    np.testing.assert_array_equal(loaded["tensor"], np.array([0, 2], dtype=np.float32))
    np.testing.assert_array_equal(loaded["strided"], [0, 3, 6, 9])
    assert (loaded["number"], loaded["empty"], loaded["infinite"]) == (0.5, {"nothing": {}}, -np.inf)
    assert loaded["file"].flags.writeable
    with np.load(path, allow_pickle=False) as archive:  # readable without this project
        np.testing.assert_array_equal(archive["file"], np.arange(3))


def test_equal_states_make_equal_files(tmp_path):
    for name in ("one", "two"):
        save_state(tmp_path / name, {"x": np.ones(3), "n": 1}, **FACTS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "state",
    [
        {"x": [1, 2]},
        {"x": np.array([object()])},
        {"x": {"y": {1: 2}}},
        {"a/b": 1},
        {"": 1},
        {"x": b"bytes"},
        {"x": torch.ones(2, requires_grad=True)},
        {"x": lambda: 0},
    ],
)
def test_what_is_no_state_is_refused_and_the_old_file_kept(tmp_path, state):
    path = tmp_path / "state.npz"
    save_state(path, {"kept": 1}, **FACTS)
    with pytest.raises(StateFileError, match=r"'x|'a/b'|got ''|got 1"):
        save_state(path, state, **FACTS)
    assert load_state(path, **FACTS) == {"kept": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.npz"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    save_state(path, {"kept": 1}, **FACTS)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StateFileError, match="No space left"):
        save_state(path, {"lost": np.ones(100)}, **FACTS)
    assert load_state(path, **FACTS) == {"kept": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.npz"]
    with pytest.raises(StateFileError, match="cannot be written"):
        save_state(tmp_path / "no" / "such.npz", {}, **FACTS)


def test_no_damage_goes_unnoticed(tmp_path):
    """Bytes altered, ends cut off: the state comes back as it was, or an error says so."""
    path = tmp_path / "state.npz"
    state = {"clock": 7, "table": np.arange(6.0), "books": {"n": np.ones(2, dtype=np.int64)}}
    save_state(path, state, **FACTS)
    whole = path.read_bytes()
    noticed = 0
    damaged = [whole[:length] for length in range(0, len(whole), 11)]
    for position in range(0, len(whole), 4):
        damaged.append(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
    for content in damaged:
        path.write_bytes(content)
        try:
            assert same(load_state(path, **FACTS), state)
        except StateFileError as error:
            noticed += 1
            assert str(path) in str(error)  # noqa: PT017  (either outcome is right)
    assert noticed > 0.8 * len(damaged)  # the rest are dates and attributes of entries


def rewrite(path, *, tail: bytes = b"", **changes) -> None:
    """Write the file anew with another header, or more bytes after its arrays: a valid archive that is not what it says."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    header = {**json.loads(entries["header.json"]), **changes}
    entries["header.json"] = json.dumps(header).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content + tail * name.endswith(".npy"))


def test_foreign_files_are_told_apart(tmp_path):
    path = tmp_path / "state.npz"
    with pytest.raises(StateFileError, match="There is no state file"):
        load_state(path, **FACTS)
    with pytest.raises(StateFileError, match="There is no state file"):
        load_state(tmp_path, **FACTS)
    path.write_text("not a zip")
    with pytest.raises(StateFileError, match="not a zip file"):
        load_state(path, **FACTS)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(StateFileError, match="is not a shaping-state file"):
        load_state(path, **FACTS)
    save_state(path, {"x": np.ones(3), "y": 1}, **FACTS)
    rewrite(path, format="another")
    with pytest.raises(StateFileError, match="is not a shaping-state file"):
        load_state(path, **FACTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, "version 1, this shapegym reads version 3.*or begin the run afresh"),
        ({"arrays": {}}, "entries that its header does not name"),
        ({"arrays": {"x": ["<f4", [3]]}}, "not <f4"),
        ({"arrays": {"x": ["<f8", [3]], "z": ["<f8", [3]]}}, "damaged"),
        ({"arrays": 3}, "damaged"),
        ({"tail": b"?"}, r"x says that it is float64 of shape \(3,\), and has 25 bytes"),
        ({"expression": {"constant": 1.0}}, "another expression: at reward it has .*yours"),
    ],
)
def test_a_header_that_lies_is_noticed(tmp_path, changes, message):
    path = tmp_path / "state.npz"
    save_state(path, {"x": np.ones(3), "y": 1}, **FACTS)
    rewrite(path, **changes)
    with pytest.raises(StateFileError, match=message):
        load_state(path, **FACTS)


def test_pickles_inside_are_not_read(tmp_path):
    path = tmp_path / "state.npz"
    save_state(path, {"x": np.ones(3)}, **FACTS)
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("header.json"))
    header["arrays"] = {"x": ["|O", [1]]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        with archive.open("x.npy", "w") as entry:
            np.lib.format.write_array(entry, np.array([object]), allow_pickle=True)
    with pytest.raises(StateFileError, match="not of numbers or texts"):
        load_state(path, **FACTS)


# ---------------------------------------------------------------------- engines

EXPRESSION = (
    gate(Potential("obs[0]"), TASK, threshold=0.0)
    + 0.1 * CountBonus("obs", resolution=0.5)
    + normalize(CountBonus("obs[0]", scope="episode", resolution=1.0))
    + Milestones((Compare("obs[0]", ">", 1.0), Compare("obs[1]", ">", 1.0)))
)


def bind(expression=EXPRESSION, lanes: int = 2, gamma: float | None = 0.9, **options) -> RewardEngine:
    options = {"pay_at_end": True, **options}
    return RewardEngine(expression, Spec(lanes, BOX, gym.spaces.Discrete(2), gamma=gamma), **options)


def transitions(step) -> Transitions:
    return Transitions(
        step.obs,
        step.action,
        step.next_obs,
        step.reward,
        step.terminated,
        step.truncated,
        step.first,
        step.active,
    )


def test_a_loaded_engine_continues_as_if_nothing_had_happened(tmp_path):
    stream = random_stream(5, 300, 2, idle=0.1)
    whole, first = bind(), bind()
    expected = [whole.step(transitions(step))[0].copy() for step in stream]
    for step in stream[:201]:  # in the middle of episodes, and after tables have grown
        first.step(transitions(step))
    save_engine(first, tmp_path / "engine.state")
    second = bind()
    load_engine(second, tmp_path / "engine.state")
    got = [second.step(transitions(step))[0].copy() for step in stream[201:]]
    np.testing.assert_array_equal(got, expected[201:])
    assert same(second.state_dict(), whole.state_dict())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: bind(lanes=3), "is of 2 lanes, this reward has 3"),
        (lambda: bind(gamma=0.8), "agent of gamma=0.9, this one has gamma=0.8"),
        (lambda: bind(pay_at_end=False), "has 'tape/.*pay_at_end"),
        (lambda: bind(EXPRESSION + 1.0), r"another expression: at reward.sum it has"),
        (
            lambda: bind(EXPRESSION.of[0] + 0.2 * EXPRESSION.of[1].of + EXPRESSION.of[2] + EXPRESSION.of[3]),
            r"sum\[1\].scale.by it has 0.1, yours 0.2",
        ),
        (lambda: bind(TASK), "another expression"),
    ],
)
def test_a_file_that_does_not_fit_leaves_the_engine_alone(tmp_path, other, message):
    saved, engine = bind(), other()
    for step in random_stream(0, 40, 2):
        saved.step(transitions(step))
    save_engine(saved, tmp_path / "engine.state")
    for step in random_stream(1, 5, engine.spec.num_lanes):
        if not engine.episodic or engine.tape is not None:
            engine.step(transitions(step))
    save_engine(engine, tmp_path / "before.state")
    with pytest.raises(StateFileError, match=message):
        load_engine(engine, tmp_path / "engine.state")
    save_engine(engine, tmp_path / "after.state")
    assert (tmp_path / "after.state").read_bytes() == (tmp_path / "before.state").read_bytes()


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (
            lambda state: state["ledger"].update(books=np.zeros(3, dtype=np.int64)),
            "int64 of shape .3,. at 'ledger/books'",
        ),
        (
            lambda state: state["terms"]["milestones"].update(paid=np.zeros(2, dtype=np.float32)),
            "float32 of shape .2,. at 'terms/milestones/paid'",
        ),
        (lambda state: state["terms"]["milestones"].update(paid=1.0), "a number at 'terms/milestones/paid'"),
        (
            lambda state: state["terms"]["milestones"].update(reached=np.zeros(2, dtype=bool)),
            "bool of shape .2,. at 'terms/milestones/reached' where this engine has bool of shape .2, 2.",
        ),
        (lambda state: state["terms"]["milestones"].pop("paid"), "lacks 'terms/milestones/paid'"),
        (lambda state: state["terms"].update(extra=1), "has 'terms/extra'"),
        (lambda state: state.update(clock="7"), "a str at 'clock'"),
    ],
)
def test_a_state_of_another_form_leaves_the_engine_alone(tmp_path, tamper, message):
    engine = bind()
    state = {
        key: dict(value) if isinstance(value, dict) else value for key, value in bind().state_dict().items()
    }
    tamper(state)
    save_state(tmp_path / "engine.state", {**state, "gamma": 0.9}, expression=EXPRESSION, num_lanes=2)
    save_engine(engine, tmp_path / "before.state")
    with pytest.raises(StateFileError, match=message):
        load_engine(engine, tmp_path / "engine.state")
    save_engine(engine, tmp_path / "after.state")
    assert (tmp_path / "after.state").read_bytes() == (tmp_path / "before.state").read_bytes()
