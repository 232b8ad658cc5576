"""Count bonuses against dictionaries: growth, episodes, lanes, hostile keys, hashing."""

from __future__ import annotations

import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from counts_reference import episode_visits, lifetime_visits, signs
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.files.reward_files import dumps, loads
from shapegym.shaping.kernels.counts import project_signs, tally
from shapegym.shaping.promises import Replay
from shapegym.shaping.states.functions import Read, state_function
from shapegym.shaping.states.keys import SimHash
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms import counts
from shapegym.shaping.terms.counts import CountBonus
from shapegym.shaping.transitions import Spec, State, Transitions

ACTION = gym.spaces.Discrete(2)


def box(width: int, dtype: type = np.float64) -> gym.Space:
    return gym.spaces.Box(0 if np.dtype(dtype).kind == "u" else -9, 9, (width,), dtype)


def batch(
    next_obs: np.ndarray, first: object = False, active: object = True, **features: np.ndarray
) -> Transitions:
    lanes = len(next_obs)
    no = np.zeros(lanes, dtype=bool)
    fill = [np.ascontiguousarray(np.broadcast_to(flag, lanes)) for flag in (first, active)]
    return Transitions(
        next_obs, np.zeros(lanes), next_obs, np.zeros(lanes), no, no, *fill, next_features=features
    )


def visit(bonus: CountBonus, state: State, transitions: Transitions) -> np.ndarray:
    bonus.observe(transitions, state)
    return bonus.measure(transitions, state)


def bound(bonus: CountBonus, lanes: int, space: gym.Space) -> State:
    return bonus.init(Spec(lanes, space, ACTION))


@given(
    seed=st.integers(0, 2**32 - 1),
    lanes=st.integers(1, 9),
    steps=st.integers(1, 60),
    variety=st.integers(1, 40),
    dtype=st.sampled_from([np.uint8, np.int64, np.float32, np.float64]),
    exponent=st.sampled_from([0.0, 0.5, 3]),
)
def test_bonuses_are_those_of_dictionaries(seed, lanes, steps, variety, dtype, exponent):
    rng = np.random.default_rng(seed)
    vocabulary = rng.integers(0, 9, (variety, 3)).astype(dtype)
    obs = vocabulary[rng.integers(variety, size=(steps, lanes))]
    first = rng.random((steps, lanes)) < 0.1
    active = rng.random((steps, lanes)) < 0.8
    keys = [[tuple(row) for row in step] for step in obs.tolist()]
    expected = {
        "lifetime": lifetime_visits(keys, active.tolist()),
        "episode": episode_visits(keys, first.tolist(), active.tolist()),
    }
    for scope, visits in expected.items():
        bonus = CountBonus(beta=0.3, exponent=exponent, scope=scope)
        state = bound(bonus, lanes, box(3, dtype))
        for t in range(steps):
            part = visit(bonus, state, batch(obs[t], first[t], active[t]))
            np.testing.assert_array_equal(
                part[active[t]], 0.3 / visits[t, active[t]].astype(float) ** exponent
            )


@pytest.mark.parametrize("scope", ["lifetime", "episode"])
def test_a_table_that_grew_many_times_has_lost_nothing(scope):
    rng = np.random.default_rng(0)
    lanes, steps = 4, 3000
    obs = rng.integers(0, 1500, (steps, lanes, 2))
    bonus = CountBonus(exponent=1, scope=scope)
    state = bound(bonus, lanes, box(2, np.int64))
    keys = [[tuple(row) for row in step] for step in obs.tolist()]
    first = [[t % 1000 == 100 * lane for lane in range(lanes)] for t in range(steps)]
    everywhere = [[True] * lanes] * steps
    visits = (
        lifetime_visits(keys, everywhere) if scope == "lifetime" else episode_visits(keys, first, everywhere)
    )
    for t in range(steps):
        np.testing.assert_array_equal(visit(bonus, state, batch(obs[t], first[t])), 1 / visits[t])
    assert len(state["counts"]) >= 4096
    if scope == "lifetime":
        assert state["counts"].sum() == steps * lanes


def test_memory_of_finished_episodes_is_used_again():
    bonus = CountBonus(scope="episode")
    state = bound(bonus, 2, box(1, np.int64))
    for t in range(4000):
        visit(bonus, state, batch(np.array([[t], [-t]]), first=t % 20 == 0))
    assert len(state["counts"]) <= 128


def test_an_episode_that_never_ends_is_counted_anew_after_some_time(monkeypatch):
    monkeypatch.setattr(counts, "LONGEST_EPISODE", 5)
    bonus = CountBonus(scope="episode", exponent=1.0)
    state = bound(bonus, 2, box(1, np.int64))
    paid = [
        visit(bonus, state, batch(np.zeros((2, 1), int), first=np.array([t == 0, t in (0, 3)])))
        for t in range(12)
    ]
    assert np.rint(1 / np.array(paid)).T.tolist() == [
        [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2],
        [1, 2, 3, 1, 2, 3, 4, 5, 1, 2, 3, 4],
    ]


def test_a_lane_that_never_ends_takes_no_more_memory_with_time(monkeypatch):
    monkeypatch.setattr(counts, "LONGEST_EPISODE", 50)
    bonus = CountBonus(scope="episode")
    state = bound(bonus, 1, box(1, np.int64))
    for t in range(2_000):
        visit(bonus, state, batch(np.array([[t]]), first=t == 0))
    assert len(state["counts"]) <= 256


@given(
    seed=st.integers(0, 2**32 - 1), hashing=st.sampled_from([None, SimHash(bits=5), SimHash(bits=70, seed=3)])
)
def test_the_order_of_lanes_does_not_matter(seed, hashing):
    rng = np.random.default_rng(seed)
    bonus = CountBonus(hashing=hashing)
    straight, shuffled = (bound(bonus, 6, box(2)) for _ in range(2))
    for _ in range(10):
        obs, active = rng.integers(-2, 3, (6, 2)).astype(float), rng.random(6) < 0.7
        order = rng.permutation(6)
        part = visit(bonus, straight, batch(obs, active=active))
        again = visit(bonus, shuffled, batch(obs[order], active=active[order]))
        np.testing.assert_array_equal(part[order], again)


def test_remeasuring_changes_nothing_and_takes_any_number_of_rows():
    bonus = CountBonus(exponent=1)
    state = bound(bonus, 2, box(1))
    np.testing.assert_array_equal(
        bonus.remeasure(batch(np.zeros((3, 1))), state), [1, 1, 1]
    )  # nothing counted yet
    visit(bonus, state, batch(np.array([[1.0], [1.0]])))
    before = pickle.dumps(state)
    for _ in range(2):
        np.testing.assert_array_equal(
            bonus.remeasure(batch(np.array([[1.0], [2.0], [1.0]])), state), [0.5, 1, 0.5]
        )
    assert pickle.dumps(state) == before


def test_episode_counts_wait_over_inactive_rows():
    bonus = CountBonus(exponent=1, scope="episode")
    state = bound(bonus, 1, box(1))
    here = np.zeros((1, 1))
    assert visit(bonus, state, batch(here, first=True)) == 1
    assert visit(bonus, state, batch(here, first=True, active=False)) == 1
    assert visit(bonus, state, batch(here)) == 0.5
    assert visit(bonus, state, batch(here, first=True)) == 1


def test_keys_are_numbers_not_bytes():
    bonus = CountBonus(exponent=1)
    state = bound(bonus, 1, box(2))
    assert visit(bonus, state, batch(np.array([[0.0, 1.0]]))) == 1
    assert visit(bonus, state, batch(np.array([[-0.0, 1.0]]))) == 0.5
    assert (
        visit(bonus, state, batch(np.array([[0.0, 1.0]], dtype=np.float32))) == 1 / 3
    )  # the dtype of the space counts
    assert visit(bonus, state, batch(np.array([[0.0, np.nextafter(1.0, 2)]]))) == 1


def test_large_integers_are_told_apart():
    bonus = CountBonus("features.caption", exponent=1)
    state = bound(bonus, 2, box(1))
    captions = np.array([2**62, 2**62 + 1])
    np.testing.assert_array_equal(visit(bonus, state, batch(np.zeros((2, 1)), caption=captions)), [1, 1])


def test_high_exponents_do_not_overflow():
    bonus = CountBonus(exponent=3)
    state = bound(bonus, 1, box(1))
    visit(bonus, state, batch(np.zeros((1, 1))))
    state["counts"][state["counts"] > 0] = 10**7
    np.testing.assert_allclose(bonus.remeasure(batch(np.zeros((1, 1))), state), 1e-21)


def test_resolution_counts_the_nearest_grid_point():
    bonus = CountBonus("obs[0]", exponent=1, resolution=0.5)
    state = bound(bonus, 1, box(2))
    parts = [visit(bonus, state, batch(np.array([[x, 7.0]])))[0] for x in (0.0, 0.2, -0.2, 0.3, 0.7, np.inf)]
    assert parts == [1, 1 / 2, 1 / 3, 1, 1 / 2, 1]


def test_strided_and_wide_keys():
    bonus = CountBonus(exponent=1)
    state = bound(bonus, 2, gym.spaces.Box(0, 255, (5, 3, 3), np.uint8))
    images = np.zeros((3, 3, 5, 2), dtype=np.uint8).T  # (2, 5, 3, 3), Fortran order
    images[1, 4, 2, 2] = 1
    np.testing.assert_array_equal(visit(bonus, state, batch(images)), [1, 1])
    np.testing.assert_array_equal(visit(bonus, state, batch(images.copy())), [0.5, 0.5])


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 9), bits=st.sampled_from([1, 31, 64, 65, 130]))
def test_sign_hashes_are_those_of_plain_loops(seed, width, bits):
    values = np.random.default_rng(seed).normal(size=(4, width))
    directions = SimHash(bits, seed).directions(width)
    words = np.empty((4, -(-bits // 64)), dtype=np.uint64)
    project_signs(values, directions, np.empty(bits), words)
    for row, expected in zip(words.tolist(), signs(values, directions), strict=True):
        assert tuple(bool(row[k // 64] >> (k % 64) & 1) for k in range(bits)) == expected


def test_sim_hash_counts_states_of_one_direction_together():
    bonus = CountBonus(exponent=1, hashing=SimHash(64))
    state = bound(bonus, 3, box(2))
    np.testing.assert_array_equal(
        visit(bonus, state, batch(np.array([[1.0, 2], [3, 6], [-1, -2]]))), [0.5, 0.5, 1]
    )


def test_sim_hash_is_the_same_in_every_process():
    script = (
        "import numpy as np; from shapegym.shaping.states.keys import SimHash;"
        "print(SimHash(7, 5).directions(3).tobytes().hex())"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == SimHash(7, 5).directions(3).tobytes().hex()
    assert not np.array_equal(SimHash(7, 5).directions(3), SimHash(7, 6).directions(3))


def test_a_second_call_compiles_nothing():
    for scope in ("lifetime", "episode"):
        for hashing in (None, SimHash(8)):
            for dtype in (np.uint8, np.float32, np.int64):
                for selected in ("obs", "obs[1:3]"):
                    bonus = CountBonus(selected, scope=scope, hashing=hashing)
                    state = bound(bonus, 50, box(4, dtype))
                    for t in range(5):
                        visit(bonus, state, batch(np.full((50, 4), t, dtype=dtype, order="F"), first=t == 3))
    assert (len(tally.signatures), len(project_signs.signatures)) == (1, 1)


def test_facts():
    assert CountBonus().replay is Replay.FROZEN
    assert CountBonus(scope="episode").replay is Replay.STAMP
    assert CountBonus("features.caption").reads == ("caption",)
    assert pickle.loads(pickle.dumps(CountBonus(hashing=SimHash()))) == CountBonus(hashing=SimHash())
    assert hash(CountBonus(hashing=SimHash())) == hash(CountBonus(hashing=SimHash()))


def test_a_product_discounts_what_repeats():
    judge = TaskReward()
    engine = RewardEngine(
        judge * CountBonus("features.caption", exponent=3, scope="episode"), Spec(1, box(1), ACTION)
    )
    paid = []
    for caption, first in ((4, True), (4, False), (5, False), (4, True)):
        step = batch(np.zeros((1, 1)), first, caption=np.array([caption]))
        step.reward[:] = 2.0
        paid.append(engine.step(step)[0].item())
    assert paid == [2.0, 0.25, 2.0, 2.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key": "observation"}, "not a selector"),
        ({"beta": float("nan")}, "beta"),
        ({"beta": True}, "beta"),
        ({"exponent": -1}, "exponent"),
        ({"scope": "epoch"}, "'lifetime' or 'episode'"),
        ({"hashing": 32}, "SimHash"),
        ({"hashing": {"bits": 3}}, "must be SimHash or None"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": 0.1, "hashing": SimHash()}, "either hashing or resolution"),
    ],
)
def test_bad_settings_are_explained(settings, message):
    with pytest.raises(ExpressionError, match=message):
        CountBonus(**settings)


def test_what_cannot_be_a_key_is_refused_and_leaves_the_state_alone():
    with pytest.raises(ObservationError, match="column 5"):
        bound(CountBonus("obs[5]"), 1, box(2))
    bonus = CountBonus("features.said", scope="episode")
    state = bound(bonus, 1, box(1))
    with pytest.raises(ObservationError, match="integers, bools or floats"):
        visit(bonus, state, batch(np.zeros((1, 1)), True, said=np.array(["hello"])))
    visit(bonus, state, batch(np.zeros((1, 1)), True, said=np.array([[1, 2]])))
    before = pickle.dumps(state)
    with pytest.raises(ObservationError, match="began with 2"):
        visit(bonus, state, batch(np.zeros((1, 1)), True, said=np.array([[1, 2, 3]])))
    assert pickle.dumps(state) == before


@pytest.mark.parametrize(("settings", "message"), [({"bits": 0}, "at least 1"), ({"seed": 0.5}, "seed")])
def test_bad_hash_settings_are_explained(settings, message):
    with pytest.raises(ExpressionError, match=message):
        SimHash(**settings)


def test_an_undeclared_feature_that_turns_out_to_be_a_float_is_not_cut():
    bonus = CountBonus("features.height")
    state = bound(bonus, 1, box(1))
    visit(bonus, state, batch(np.zeros((1, 1)), height=np.array([0])))
    with pytest.raises(ObservationError, match=r"'features.height' gave int64 at first and float64 now"):
        visit(bonus, state, batch(np.zeros((1, 1)), height=np.array([0.2])))


@state_function
def cell_of_pair(obs, features):
    place, room = obs
    return np.floor(4 * place[:, 0]) + 10 * room


class Pair(gym.Env):
    """A Tuple observation: a place that hardly repeats, and a room."""

    observation_space = gym.spaces.Tuple((box(2, np.float32), gym.spaces.Discrete(3)))
    action_space = ACTION

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.seen(), {}

    def seen(self):
        return np.array([self.t / 5, self.t], np.float32), self.t % 2

    def step(self, action):
        self.t += 1
        return self.seen(), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("key", "visits"),
    [
        ("obs.0", [1, 1, 1, 1, 1]),  # 0.2, 0.4, 0.6, 0.8, 1.0
        ("obs.1", [1, 1, 2, 2, 3]),
        (cell_of_pair, [1, 1, 1, 1, 1]),  # 0 1 2 3 4 in rooms 1 0 1 0 1
        ("cell_of_pair", [1, 1, 1, 1, 1]),
        (0 * Read("obs.1"), [1, 2, 3, 4, 5]),
        (("obs.1", "action"), [1, 1, 2, 1, 3]),  # rooms 1 0 1 0 1, actions 0 0 0 1 0
        (("obs.1", 0 * Read("action")), [1, 1, 2, 2, 3]),
    ],
)
def test_keys_are_selectors_state_functions_and_tuples_of_them(key, visits):
    bonus = CountBonus(key, exponent=1.0)
    assert loads(dumps(bonus)) == bonus
    env = ShapedEnv(Pair(), bonus)
    env.reset(seed=0)
    paid = [env.step(action)[1] for action in (0, 0, 0, 1, 0)]
    assert paid == [1 / visit for visit in visits]


def test_a_tuple_observation_says_how_it_can_be_counted():
    with pytest.raises(ObservationError, match=r"'obs.0' \(entries: 0, 1\).*or write a state function"):
        ShapedEnv(Pair(), CountBonus("obs"))


@pytest.mark.parametrize(
    ("bonus", "said"),
    [
        (CountBonus("obs"), True),
        (CountBonus(("obs[0]", "features.room")), True),
        (CountBonus("features.height"), True),
        (CountBonus("obs", resolution=0.1), False),
        (CountBonus("obs", hashing=SimHash()), False),
        (CountBonus("obs", scope="episode"), False),
        (CountBonus("features.room"), False),
        (CountBonus("features.undeclared"), False),
        (CountBonus(Read("obs[0]")), False),  # nobody knows how many values a function has
    ],
)
def test_exact_counts_of_floats_draw_a_remark(bonus, said):
    features = {"room": gym.spaces.Discrete(3), "height": box(1)}
    remark = bonus.remark(Spec(1, box(2), ACTION, features))
    assert bool(remark) == said
    assert not said or "resolution" in remark
