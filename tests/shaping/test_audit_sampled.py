"""Audits of recordings: how they are cut into episodes, and distances that agree with the exact ones where both exist."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.audit import canonical, exact, sampled
from shapegym.shaping.audit.levelling import Fit, level
from shapegym.shaping.audit.mdp import MDP
from shapegym.shaping.audit.rollouts import Rollouts
from shapegym.shaping.audit.telescoping import telescoping
from shapegym.shaping.errors import AuditError

GAMMA = 0.95
FIT = Fit(features=64)


def walk(seed=0, steps=1500, limit=40):
    """A point that drifts to the right of the unit square; the right edge is terminal."""
    rng = np.random.default_rng(seed)
    before, after, ends, cuts = (
        np.zeros((steps, 2)),
        np.zeros((steps, 2)),
        np.zeros(steps, bool),
        np.zeros(steps, bool),
    )
    where, age = rng.uniform(0, 0.5, size=2), 0
    for t in range(steps):
        before[t] = where
        where = np.clip(where + rng.normal(0.02, 0.08, size=2), 0, 1)
        after[t], age = where, age + 1
        ends[t], cuts[t] = where[0] > 0.95, age == limit
        if ends[t] or cuts[t]:
            where, age = rng.uniform(0, 0.5, size=2), 0
    return before, after, ends, cuts


def potential(x):
    return 3 * np.sin(2 * x[:, 0]) - x[:, 1] ** 2


def recording(**more):
    before, after, ends, cuts = walk()
    task = ends * 1.0 - 0.1 * (after[:, 1] > 0.5)
    shaping = GAMMA * np.where(ends, 0, potential(after)) - potential(before)
    rewards = {
        "task": task,
        "scaled": 3 * task,
        "shaped": task + shaping,
        "shaping": shaping,
        "reversed": -2 * task + shaping,
        "other": np.sin(9 * after[:, 1]) * np.cos(7 * before[:, 0]),
        "farmed": 0.5 * (after[:, 1] > before[:, 1]),
        **more,
    }
    return Rollouts.of(before, after, rewards, ends, cuts)


ROLLOUTS = recording()


class TestRollouts:
    def test_unfinished_episodes_are_dropped_and_counted(self):
        ends = np.zeros((6, 2), bool)
        ends[1, 0] = ends[4, 1] = True  # lane 0: 2 steps, then 4 unfinished; lane 1: 5 steps, then 1
        cuts = np.zeros((6, 2), bool)
        paid = np.arange(12.0).reshape(6, 2)
        found = Rollouts.of(paid[:, :, None], paid[:, :, None] + 2, {"r": paid}, ends, cuts)
        assert found.rewards["r"].tolist() == [0, 2, 1, 3, 5, 7, 9]
        assert found.episode.tolist() == [0, 0, 1, 1, 1, 1, 1]
        assert found.step.tolist() == [0, 1, 0, 1, 2, 3, 4]
        assert found.terminated.tolist() == [False, True, False, False, False, False, True]
        assert found.dropped == 5
        assert found.per_episode(found.rewards["r"]).tolist() == [2, 25]

    def test_reset_rows_are_no_steps(self):
        ends = np.array([False, True, False, False, True])
        active = np.array([True, True, False, True, True])
        found = Rollouts.of(
            np.zeros((5, 1)), np.zeros((5, 1)), {"r": np.arange(5.0)}, ends, ends & False, active
        )
        assert found.rewards["r"].tolist() == [0, 1, 3, 4]
        assert found.step.tolist() == [0, 1, 0, 1]
        assert found.dropped == 0

    @given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 20))
    def test_lanes_are_cut_as_a_loop_cuts_them(self, seed, lanes, steps):
        rng = np.random.default_rng(seed)
        ends, cuts = rng.random((2, steps, lanes)) < 0.3
        ids = np.arange(steps * lanes, dtype=float).reshape(steps, lanes)
        expected = []
        for lane in range(lanes):
            episode = []
            for t in range(steps):
                episode.append(ids[t, lane])
                if ends[t, lane] or cuts[t, lane]:
                    expected.append(episode)
                    episode = []
        if not expected:
            with pytest.raises(AuditError, match="No episode finishes"):
                Rollouts.of(ids[:, :, None], ids[:, :, None], {"r": ids}, ends, cuts)
            return
        found = Rollouts.of(ids[:, :, None], ids[:, :, None], {"r": ids}, ends, cuts)
        assert found.observations[:, 0].tolist() == [i for episode in expected for i in episode]
        assert found.episodes == len(expected)
        assert found.step.tolist() == [t for episode in expected for t in range(len(episode))]
        assert found.dropped == ids.size - len(found.step)

    def test_hostile_input(self):
        before, after, ends, cuts = walk(steps=50)
        with pytest.raises(AuditError, match="observations must be"):
            Rollouts.of(before[:-1], after, {}, ends, cuts)
        with pytest.raises(AuditError, match="'r' must be"):
            Rollouts.of(before, after, {"r": before}, ends, cuts)
        with pytest.raises(AuditError, match="'r' is NaN"):
            Rollouts.of(before, after, {"r": np.full(50, np.nan)}, ends, cuts)
        with pytest.raises(AuditError, match="truncated must be"):
            Rollouts.of(before, after, {}, ends, cuts[:-1])
        with pytest.raises(AuditError, match="No episode finishes"):
            Rollouts.of(before, after, {}, ends & False, cuts & False)
        with pytest.raises(AuditError, match="no reward 'x'"):
            ROLLOUTS.reward("x")


@pytest.mark.parametrize("form", ["val", "minimal"])
class TestStarc:
    def distance(self, first, second, form, **options):
        return sampled.starc(ROLLOUTS, first, second, GAMMA, canonical=form, fit=FIT, **options)

    def test_scaling_is_nothing(self, form):
        found = self.distance("task", "scaled", form)
        assert found.distance < 1e-6
        assert found.high < 1e-6
        assert self.distance("task", "task", form).distance < 1e-6

    def test_shaping_nearly_vanishes(self, form):
        found = self.distance("task", "shaped", form)
        assert found.distance < 0.01
        assert self.distance("shaping", "task", form).left[0] < 0.01
        assert self.distance("reversed", "task", form).distance > 0.99

    def test_other_rewards_are_far(self, form):
        found = self.distance("shaped", "other", form)
        assert found.distance > 0.5
        assert found.low <= found.distance <= found.high
        assert (found.episodes, found.dropped) == (ROLLOUTS.episodes, ROLLOUTS.dropped)
        assert found == self.distance("shaped", "other", form)

    def test_a_reward_that_never_pays_is_trivial(self, form):
        rollouts = recording(nothing=np.zeros(1500))
        found = sampled.starc(rollouts, "nothing", "task", GAMMA, canonical=form, fit=FIT)
        assert (found.distance, found.low, found.high, found.left[0]) == (0.5, 0.5, 0.5, 0.0)

    def test_steps_are_levelled_without_their_episode(self, form):
        """A reward of one episode alone cannot be explained by the others."""
        alone = (ROLLOUTS.episode == 3) * 1.0
        left = level(ROLLOUTS, alone[:, None], GAMMA, form, FIT)[:, 0]
        np.testing.assert_allclose(left[ROLLOUTS.episode == 3], 1.0)


def chain(P, rng, steps):
    state, rows = 0, []
    for _ in range(steps):
        action = rng.integers(P.shape[1])
        after = rng.choice(len(P), p=P[state, action])
        rows.append((state, action, after))
        state = after
    return map(np.array, zip(*rows, strict=True))


class TestAgainstExact:
    """On a finite task the sampled distances come to the exact ones, with the weights that the recording has."""

    S, A = 4, 2

    def task(self):
        rng = np.random.default_rng(1)
        P = rng.dirichlet(np.ones(self.S), size=(self.S, self.A))
        return P, rng.normal(size=P.shape), rng.normal(size=P.shape), rng

    def weights(self, states, actions):
        counts = np.zeros((self.S, self.A))
        np.add.at(counts, (states, actions), 1)
        return counts

    def test_starc(self):
        """Rewards of (s, a), as the successors' noise is not undone; one-hot states span all potentials."""
        P, R1, R2, rng = self.task()
        R1, R2 = (np.broadcast_to(R[:, :, :1], P.shape) for R in (R1, R2))
        states, actions, after = chain(P, rng, 20000)
        eye, paid = np.eye(self.S), {"1": R1[states, actions, after], "2": R2[states, actions, after]}
        cuts = np.arange(1, 20001) % 50 == 0
        rollouts = Rollouts.of(eye[states], eye[after], paid, cuts & False, cuts)
        table = self.weights(states, actions)
        for form in ("val", "minimal"):
            found = sampled.starc(rollouts, "1", "2", GAMMA, canonical=form, fit=Fit(features=0))
            # Sampled forms hold gamma Phi(s') and not its mean: compare with VALPotential's norm, over transitions.
            potentials = self.potentials(P, R1, R2, form, table)
            forms = [
                R + GAMMA * phi - phi[:, None, None] for R, phi in zip((R1, R2), potentials, strict=True)
            ]
            one, two = (x / np.sqrt((table[:, :, None] * P * x * x).sum()) for x in forms)
            expected = np.sqrt((table[:, :, None] * P * (one - two) ** 2).sum()) / 2
            assert found.distance == pytest.approx(expected, abs=0.03)

    def potentials(self, P, R1, R2, form, table):
        mdp = MDP.of(P, GAMMA)
        if form == "val":
            return [canonical.val(mdp, R).potential for R in (R1, R2)]
        design = GAMMA * np.eye(self.S)[None, None] - np.eye(self.S)[:, None, None]
        root = np.sqrt(table[:, :, None] * P)
        rows = (root[..., None] * np.broadcast_to(design, (*P.shape, self.S))).reshape(-1, self.S)
        return [np.linalg.lstsq(rows, -(root * R).ravel(), rcond=None)[0] for R in (R1, R2)]

    def test_epic_and_dard(self):
        P, R1, R2, rng = self.task()
        states, actions, after = chain(P, rng, 4000)
        weights = self.weights(states, actions)
        rewards = [lambda s, a, t, R=R: R[s, a, t] for R in (R1, R2)]
        share = np.bincount(after, minlength=self.S) / after.size
        epic = sampled.epic(*rewards, states, actions, after, GAMMA)
        assert epic.distance == pytest.approx(
            exact.epic(P, R1, R2, GAMMA, weights=weights, states=share), abs=0.03
        )

        def successor(s, a):
            return (rng.random((len(s), 1)) > P[s, a].cumsum(axis=1)).sum(axis=1).clip(max=self.S - 1)

        dard = sampled.dard(*rewards, successor, states, actions, after, GAMMA)
        assert dard.distance == pytest.approx(exact.dard(P, R1, R2, GAMMA, weights=weights), abs=0.03)
        assert epic.low < epic.distance < epic.high

    def test_epic_undoes_shaping_exactly_whatever_the_samples(self):
        P, R1, _, rng = self.task()
        states, actions, after = chain(P, rng, 200)
        phi = rng.normal(size=self.S)
        shaped = 2 * R1 + GAMMA * phi - phi[:, None, None]
        found = sampled.epic(
            lambda s, a, t: R1[s, a, t],
            lambda s, a, t: shaped[s, a, t],
            states,
            actions,
            after,
            GAMMA,
            mean_samples=8,
        )
        assert found.distance < 1e-6

    def test_hostile_input(self):
        zeros = np.zeros(10, int)
        ask = lambda s, a, t: np.zeros(len(s))  # noqa: E731
        with pytest.raises(AuditError, match="of the same steps"):
            sampled.epic(ask, ask, zeros, zeros[:-1], zeros, GAMMA)
        with pytest.raises(AuditError, match="must pay"):
            sampled.epic(ask, lambda s, a, t: np.zeros(3), zeros, zeros, zeros, GAMMA)
        with pytest.raises(AuditError, match="episode must be"):
            sampled.epic(ask, ask, zeros, zeros, zeros, GAMMA, episode=zeros[:-1])
        assert sampled.epic(ask, ask, zeros, zeros, zeros, GAMMA).distance == 0


class TestTelescoping:
    def test_a_known_potential_is_met_to_rounding(self):
        sides = potential(ROLLOUTS.observations), potential(ROLLOUTS.next_observations)
        found = telescoping(ROLLOUTS, "shaping", GAMMA, potential=sides)
        assert found.deviation < 1e-12
        assert found.unexplained < 1e-12
        wrong = telescoping(ROLLOUTS, "shaping", GAMMA, potential=(sides[0], 0.5 * sides[1]))
        assert wrong.unexplained > 0.05

    def test_it_is_the_formula_episode_by_episode(self):
        phi, paid, off, traffic = potential(ROLLOUTS.observations), ROLLOUTS.rewards["farmed"], [], []
        after = potential(ROLLOUTS.next_observations)
        for episode in range(ROLLOUTS.episodes):
            steps = np.flatnonzero(ROLLOUTS.episode == episode)
            discounts = GAMMA ** np.arange(len(steps))
            last = 0.0 if ROLLOUTS.terminated[steps[-1]] else GAMMA ** len(steps) * after[steps[-1]]
            off.append(abs((discounts * paid[steps]).sum() - (last - phi[steps[0]])))
            traffic.append((discounts * np.abs(paid[steps])).sum())
        found = telescoping(ROLLOUTS, "farmed", GAMMA, potential=(phi, after))
        assert found.deviation == pytest.approx(max(off))
        assert found.worst == np.argmax(off)
        assert found.unexplained == pytest.approx(np.linalg.norm(off) / np.linalg.norm(traffic))

    def test_a_fitted_one_tells_shaping_from_a_bonus(self):
        assert telescoping(ROLLOUTS, "shaping", GAMMA, fit=FIT).unexplained < 0.01
        farmed = telescoping(ROLLOUTS, "farmed", GAMMA, fit=FIT)
        assert farmed.unexplained > 0.1
        assert farmed.episodes == ROLLOUTS.episodes
        assert 0 <= farmed.worst < farmed.episodes

    def test_a_potential_that_stays_at_terminal_states_does_not_telescope(self):
        x, y = ROLLOUTS.observations, ROLLOUTS.next_observations
        stays = recording()
        rewards = {"stays": GAMMA * potential(y) - potential(x)}
        stays = Rollouts(x, y, stays.terminated, stays.episode, stays.step, rewards, 0)
        assert telescoping(stays, "stays", GAMMA, potential=(potential(x), potential(y))).unexplained > 0.05

    def test_no_shaping_telescopes(self):
        nothing = recording(nothing=np.zeros(1500))
        assert telescoping(nothing, "nothing", GAMMA, fit=FIT).unexplained == 0

    def test_hostile_input(self):
        with pytest.raises(AuditError, match="on both sides"):
            telescoping(ROLLOUTS, "shaping", GAMMA, potential=(np.zeros(3), np.zeros(3)))
        with pytest.raises(AuditError, match="gamma must be"):
            telescoping(ROLLOUTS, "shaping", 1.1, fit=FIT)
        with pytest.raises(AuditError, match="ridge must be"):
            Fit(ridge=0.0)
        before, after, ends, cuts = walk(steps=60)
        first = np.flatnonzero(ends | cuts)[0] + 1
        one = Rollouts.of(before[:first], after[:first], {"r": np.zeros(first)}, ends[:first], cuts[:first])
        with pytest.raises(AuditError, match="Record more"):
            telescoping(one, "r", GAMMA)


def test_no_discount_needs_an_end_for_val_only():
    before, after, _, _ = walk(steps=200)
    cuts = np.arange(1, 201) % 20 == 0
    rollouts = Rollouts.of(before, after, {"a": after[:, 0], "b": after[:, 1]}, cuts & False, cuts)
    with pytest.raises(AuditError, match="no episode terminates"):
        sampled.starc(rollouts, "a", "b", 1.0, fit=FIT)
    assert 0 <= sampled.starc(rollouts, "a", "b", 1.0, canonical="minimal", fit=FIT).distance <= 1
