"""Distances: equal to plain loops, bounded and order-preserving where they say so, and clear about bad input."""

from __future__ import annotations

import pickle

import distance_reference as reference
import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.errors import ExpressionError, ObservationError, ShapingError
from shapegym.shaping.kernels import distance as kernels
from shapegym.shaping.states.distance import Distance, ExponentialKernel, Gaussian, Tiered
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.transitions import Spec, Transitions

NORMS = ("l1", "l2", "linf", "l2_squared")
POSITION = gym.spaces.Box(-9, 9, (2,))


def spec(**features: gym.Space) -> Spec:
    return Spec(3, POSITION, gym.spaces.Discrete(2), features, gamma=0.9)


def positions(seed: int, lanes: int, width: int, dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(lanes, width)).astype(dtype), rng.normal(size=(lanes, width)).astype(dtype)


@given(
    st.integers(0, 9999),
    st.sampled_from([1, 2, 17]),
    st.integers(1, 5),
    st.sampled_from(NORMS),
    st.sampled_from("fd"),
)
def test_distance_is_minus_the_plain_loop(seed, lanes, width, norm, dtype):
    of, to = positions(seed, lanes, width, dtype)
    expected = [-reference.distance(a, b, norm) for a, b in zip(of, to, strict=True)]
    got = Distance("features.p", "features.g", norm).value(of, {"p": of, "g": to})
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    target = tuple(map(float, to[0]))
    expected = [-reference.distance(a, target, norm) for a in of]
    np.testing.assert_allclose(Distance("obs", target, norm).value(of, {}), expected, rtol=1e-14)


@given(st.integers(0, 9999), st.floats(0.05, 5), st.floats(0.1, 3))
def test_kernels_equal_their_formulas(seed, width, alpha):
    of, to = positions(seed, 5, 2)
    features = {"p": of, "g": to, "size": np.linspace(0.1, 2, 5)[:, None]}

    def value(kernel):
        return Distance("features.p", "features.g", kernel=kernel).value(of, features)

    d = [reference.distance(a, b, "l2") for a, b in zip(of, to, strict=True)]
    fixed = [reference.gaussian(x, width, alpha) for x in d]
    tied = [reference.gaussian(x, size, alpha) for x, size in zip(d, features["size"][:, 0], strict=True)]
    lucy = [reference.lucy_distance(x, width, alpha, 1.7) for x in d]
    np.testing.assert_allclose(value(Gaussian(width, alpha)), fixed, rtol=1e-12)
    np.testing.assert_allclose(value(Gaussian("features.size", alpha)), tied, rtol=1e-12)
    np.testing.assert_allclose(value(ExponentialKernel(2 * width * alpha * 1.7)), lucy, rtol=1e-12)
    zones = Tiered((0.1, 0.5, width + 0.5), (3.0, 2.0, 0.5))
    np.testing.assert_array_equal(value(zones), [reference.tiered(x, zones.edges, zones.values) for x in d])


@given(
    st.lists(st.floats(0, 1e6), min_size=2, max_size=20),
    st.sets(st.floats(0, 1e3), min_size=1, max_size=5),
    st.floats(0.01, 1e3),
)
def test_nearer_is_never_worth_less(distances, edges, scale):
    values = tuple(float(value) for value in range(len(edges), 0, -1))
    for kernel in (None, Gaussian(scale), ExponentialKernel(scale), Tiered(tuple(sorted(edges)), values)):
        worth = Distance("obs", (0.0,), kernel=kernel).value(np.sort(distances)[:, None], {})
        assert (np.diff(worth) <= 0).all()
        if kernel is not None:
            assert worth.min() >= 0
            assert worth.max() <= (values[0] if isinstance(kernel, Tiered) else 1)


def test_zone_borders_belong_to_the_inner_zone():
    worth = Distance("obs", (0.0,), kernel=Tiered((0.0, 1.0, 2.0), (5, 3, 1))).value(
        np.array([[0.0], [1], [1.5], [2], [2.5]]), {}
    )
    np.testing.assert_array_equal(worth, [5, 3, 1, 1, 0])


@pytest.mark.parametrize("kernel", [None, Gaussian(), ExponentialKernel(), Tiered((1.0,), (1.0,))])
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_a_nan_position_stays_nan(kernel, norm):
    value = Distance("obs", (0.0, 0.0), norm, kernel).value(
        np.array([[np.nan, 1.0], [1.0, np.nan], [1.0, 1.0]]), {}
    )
    np.testing.assert_array_equal(np.isnan(value), [True, True, False])


def test_a_potential_reads_both_sides():
    term = Potential(Distance("features.p", "features.g"), gamma=0.9)
    assert set(term.reads) == set(term.reads_before) == {"p", "g"}
    no = np.zeros(2, dtype=bool)
    goal = np.zeros((2, 1))
    before, after = {"p": np.array([[2.0], [3.0]]), "g": goal}, {"p": np.array([[1.0], [1.0]]), "g": goal}
    step = Transitions(goal, no, goal, np.zeros(2), np.array([False, True]), no, no, ~no, before, after)
    state = term.init(Spec(2, POSITION, gym.spaces.Discrete(2), None, gamma=0.9))
    np.testing.assert_allclose(term.measure(step, state), [0.9 * -1 + 2, 3])


def test_reads_name_every_feature():
    distance = Distance("features.p", "obs", kernel=Gaussian("features.size"))
    assert distance.reads == ("p", "size")


def test_widths_are_checked_at_binding():
    Distance("obs", (0.0, 1.0)).check(spec())
    Distance("obs[0:2]", "features.unknown").check(spec())
    for bad in (
        Distance("obs", (0.0,)),
        Distance("obs", "features.p"),
        Distance("obs", (0.0, 1.0), kernel=Gaussian("features.p")),
    ):
        with pytest.raises(ObservationError, match=r"features\.p|compares 2 numbers with 1"):
            bad.check(spec(p=gym.spaces.Box(0, 1, (3,))))


def test_widths_of_undeclared_features_are_checked_when_read():
    with pytest.raises(ObservationError, match="compares 2 numbers with 3"):
        Distance("features.p", "features.g").value(
            np.zeros((1, 1)), {"p": np.zeros((4, 2)), "g": np.zeros((4, 3))}
        )


@pytest.mark.parametrize(
    "build",
    [
        lambda: Distance("position", (0.0,)),
        lambda: Distance("obs", "goal"),
        lambda: Distance("obs", 1.0),
        lambda: Distance("obs", ("a",)),
        lambda: Distance("obs", (np.nan,)),
        lambda: Distance("obs", (0.0,), "euclid"),
        lambda: Distance("obs", (0.0,), kernel="gaussian"),
        lambda: Distance("obs", (0.0,), "l2_squared", Gaussian()),
        lambda: Gaussian(0.0),
        lambda: Gaussian("size"),
        lambda: Gaussian(alpha=-1.0),
        lambda: ExponentialKernel(np.inf),
        lambda: ExponentialKernel(True),
        lambda: Tiered((), ()),
        lambda: Tiered((1.0,), (2.0, 1.0)),
        lambda: Tiered((2.0, 1.0), (2.0, 1.0)),
        lambda: Tiered((-1.0, 1.0), (2.0, 1.0)),
        lambda: Tiered((1.0, 2.0), (1.0, 2.0)),
        lambda: Tiered((1.0,), (0.0,)),
        lambda: Tiered((1.0, np.inf), (2.0, 1.0)),
    ],
)
def test_bad_hyperparameters_are_named(build):
    with pytest.raises(ExpressionError) as error:
        build()
    assert isinstance(error.value, ShapingError)
    assert "got" in str(error.value) or "Write" in str(error.value) or "use" in str(error.value)


def test_distances_are_values():
    distance = Distance("obs", [0, 1], kernel=Tiered([1, 2], [2, 1]))
    assert distance == Distance("obs", (0.0, 1.0), kernel=Tiered((1.0, 2.0), (2.0, 1.0)))
    assert hash(distance) == hash(pickle.loads(pickle.dumps(distance)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(distance)).value(np.zeros((1, 2)), {}), [2.0])


def test_no_second_compilation():
    for of in (
        np.zeros((3, 4), dtype=np.float32)[:, 1:3],
        np.zeros((3, 2)),
        np.asfortranarray(np.ones((3, 2), dtype=np.int64)),
    ):
        for kernel in (None, Gaussian(), Gaussian("features.size"), ExponentialKernel(), Tiered((1,), (1,))):
            for to in ((0, 0), "obs"):
                Distance("obs", to, kernel=kernel).value(of, {"size": np.ones((3, 1), dtype=np.float32)})
    for kernel in (kernels.row_distances, kernels.gaussian, kernels.exponential, kernels.tiered):
        assert len(kernel.signatures) == 1
