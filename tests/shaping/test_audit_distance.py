"""Distances between rewards: formulas against plain loops, the axioms, the invariances, and what regret they bound."""

import audit_reference as reference
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapegym.shaping.audit import canonical as forms
from shapegym.shaping.audit.exact import dard, epic, raw_l2, starc
from shapegym.shaping.audit.mdp import MDP
from shapegym.shaping.audit.regret import optimal_regret, worst_regret
from shapegym.shaping.errors import AuditError

S, A, GAMMA = 5, 2, 0.9
SEEDS = st.integers(0, 2**32 - 1)
STARC = {
    "val": {},
    "val, a policy": {"policy": np.arange(S) % A},
    "val, l1": {"norm": "l1"},
    "val, linf": {"norm": "linf"},
    "minimal": {"canonical": "minimal"},
}


def draw(seed, terminals=1, states=S, actions=A):
    """P, terminal, start, generator; impossible transitions included."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(states), size=(states, actions)) * (rng.random((states, actions, states)) < 0.6)
    P += 1e-3 * np.eye(states)[(np.arange(states) + 1) % states][:, None, :]
    P /= P.sum(axis=2, keepdims=True)
    terminal = np.arange(states) >= states - terminals
    P[terminal] = np.eye(states)[terminal][:, None, :]
    start = np.where(terminal, 0.0, 1.0 / (states - terminals))
    return P, terminal, start, rng


def reward(rng, P):
    return rng.normal(size=P.shape)


def shaping(rng, P, terminal, gamma=GAMMA, size=1.0):
    phi = np.where(terminal, 0.0, size * rng.normal(size=len(P)))
    return gamma * phi - phi[:, None, None] + np.zeros(P.shape)


def redistribution(rng, P):
    noise = rng.normal(size=P.shape)
    return np.where(P > 0, noise - (P * noise).sum(axis=2, keepdims=True), 0.0)


class TestForms:
    @pytest.mark.parametrize("seed", range(3))
    def test_val_is_the_loop(self, seed):
        P, terminal, _, rng = draw(seed)
        R, policy = reward(rng, P), rng.dirichlet(np.ones(A), size=S)
        found = forms.val(MDP.of(P, GAMMA, terminal), R, policy)
        np.testing.assert_allclose(found.reward, reference.val(P, R, GAMMA, policy, terminal), atol=1e-12)

    @pytest.mark.parametrize("seed", range(3))
    def test_minimal_is_the_least_squares_over_potential_and_redistribution_together(self, seed):
        P, terminal, _, rng = draw(seed)
        R, weights = reward(rng, P), rng.uniform(0.1, 1.0, size=(S, A))
        found = forms.minimal(MDP.of(P, GAMMA, terminal), R, weights)
        expected = reference.minimal(P, R, GAMMA, weights, terminal)
        possible = (P > 0) & ~terminal[:, None, None]
        np.testing.assert_allclose(
            np.broadcast_to(found.reward[:, :, None], P.shape)[possible], expected[possible], atol=1e-10
        )

    @pytest.mark.parametrize("seed", range(3))
    def test_epic_and_dard_are_the_loops(self, seed):
        P, _, _, rng = draw(seed, terminals=0)
        R, mdp = reward(rng, P), MDP.of(P, GAMMA)
        np.testing.assert_allclose(forms.epic(mdp, R).reward, reference.epic(R, GAMMA), atol=1e-12)
        np.testing.assert_allclose(forms.dard(mdp, R).reward, reference.dard(P, R, GAMMA), atol=1e-12)

    def test_correlation_distances_are_the_formula(self):
        P, _, _, rng = draw(3, terminals=0)
        R1, R2 = reward(rng, P), reward(rng, P)
        weights = rng.uniform(0.1, 1.0, size=(S, A))
        coverage = weights[:, :, None] * P
        assert epic(P, R1, R2, GAMMA, weights=weights) == pytest.approx(
            reference.correlation_distance(reference.epic(R1, GAMMA), reference.epic(R2, GAMMA), coverage)
        )
        assert dard(P, R1, R2, GAMMA, weights=weights) == pytest.approx(
            reference.correlation_distance(
                reference.dard(P, R1, GAMMA), reference.dard(P, R2, GAMMA), coverage
            )
        )

    def test_no_equivalent_reward_is_smaller_than_the_minimal_one(self):
        P, terminal, _, rng = draw(4)
        R, mdp = reward(rng, P), MDP.of(P, GAMMA, terminal)
        size = (forms.minimal(mdp, R).reward ** 2).sum()
        for _ in range(20):
            other = R + shaping(rng, P, terminal) * rng.uniform(0, 2)
            assert (mdp.expected(other) ** 2).sum() >= size

    def test_the_potentials_lead_to_the_forms(self):
        P, terminal, _, rng = draw(5)
        R, mdp = reward(rng, P), MDP.of(P, GAMMA, terminal)
        for form in (forms.val(mdp, R), forms.minimal(mdp, R)):
            assert not form.potential[terminal].any()
            shaped = R + GAMMA * form.potential - form.potential[:, None, None]
            np.testing.assert_allclose(form.reward, mdp.expected(shaped), atol=1e-12)

    def test_val_potential_undoes_shaping_on_every_transition(self):
        P, terminal, _, rng = draw(6)
        R, mdp = reward(rng, P), MDP.of(P, GAMMA, terminal)
        plain = forms.val_potential(mdp, R).reward
        shaped = forms.val_potential(mdp, R + shaping(rng, P, terminal)).reward
        np.testing.assert_allclose(plain, shaped, atol=1e-12)
        np.testing.assert_allclose((P * plain).sum(axis=2), forms.val(mdp, R).reward, atol=1e-12)


class TestInvariance:
    @pytest.mark.parametrize("options", STARC.values(), ids=STARC)
    @given(seed=SEEDS, terminals=st.integers(0, 2), scale=st.floats(0.01, 100))
    def test_starc_is_zero_for_equivalent_rewards(self, options, seed, terminals, scale):
        P, terminal, _, rng = draw(seed, terminals)
        R = reward(rng, P)
        disguised = scale * R + shaping(rng, P, terminal) + redistribution(rng, P)
        assert starc(P, R, disguised, GAMMA, terminal=terminal, **options) <= 1e-9

    @given(seed=SEEDS, scale=st.floats(0.01, 100))
    def test_epic_and_dard_undo_shaping_and_scale_but_not_redistribution(self, seed, scale):
        P, terminal, _, rng = draw(seed, terminals=0)
        R = reward(rng, P)
        shaped = scale * R + shaping(rng, P, terminal)
        for distance in (epic, dard):
            assert distance(P, R, shaped, GAMMA) <= 1e-9
            assert distance(P, R, R + redistribution(rng, P), GAMMA) > 0.01
        assert raw_l2(P, R, shaped) > 1e-6

    def test_a_potential_that_is_not_zero_in_terminal_states_is_a_difference(self):
        P, terminal, _, rng = draw(7)
        R = reward(rng, P)
        phi = np.where(terminal, 1.0, 0.0)
        shaped = R + GAMMA * phi - phi[:, None, None]
        assert starc(P, R, shaped, GAMMA, terminal=terminal) > 1e-3
        assert starc(P, R, shaped, GAMMA) <= 1e-9  # if the episode goes on, it is shaping

    def test_starc_does_not_read_impossible_transitions(self):
        P, terminal, _, rng = draw(8)
        R1, R2 = reward(rng, P), reward(rng, P)
        possible = (P > 0) & ~terminal[:, None, None]
        for options in STARC.values():
            assert starc(P, R1, R2, GAMMA, terminal=terminal, **options) == pytest.approx(
                starc(P, np.where(possible, R1, 7.0), R2, GAMMA, terminal=terminal, **options), abs=1e-12
            )

    def test_the_minimal_form_needs_no_discount(self):
        P, terminal, _, rng = draw(9)
        R = reward(rng, P)
        disguised = 3 * R + shaping(rng, P, terminal, gamma=1.0) + redistribution(rng, P)
        for mask in (terminal, np.zeros(S, bool)):
            assert starc(P, R, disguised, 1.0, terminal=mask, canonical="minimal") <= 1e-9
        assert starc(P, R, disguised, 1.0, terminal=terminal) <= 1e-9  # the uniform policy ends here


class TestAxioms:
    @pytest.mark.parametrize("options", STARC.values(), ids=STARC)
    @given(seed=SEEDS)
    def test_starc_is_a_pseudometric_in_the_unit_interval(self, options, seed):
        P, terminal, _, rng = draw(seed)
        x, y, z = (reward(rng, P) for _ in range(3))

        def d(first, second):
            return starc(P, first, second, GAMMA, terminal=terminal, **options)

        assert d(x, x) == 0
        assert d(x, y) == d(y, x)
        assert 0 <= d(x, y) <= 1
        assert d(x, z) <= d(x, y) + d(y, z) + 1e-12
        assert d(x, -x) == pytest.approx(1.0)

    @given(seed=SEEDS)
    def test_epic_dard_and_raw_are_pseudometrics_too(self, seed):
        P, _, _, rng = draw(seed, terminals=0)
        x, y, z = (reward(rng, P) for _ in range(3))
        for distance in (epic, dard, lambda P, first, second, _: raw_l2(P, first, second)):
            assert distance(P, x, x, GAMMA) == 0
            assert distance(P, x, y, GAMMA) == distance(P, y, x, GAMMA)
            assert distance(P, x, -x, GAMMA) == pytest.approx(1.0)
            assert distance(P, x, z, GAMMA) <= distance(P, x, y, GAMMA) + distance(P, y, z, GAMMA) + 1e-12

    @pytest.mark.parametrize("options", STARC.values(), ids=STARC)
    def test_trivial_rewards_have_distance_zero_to_each_other_and_a_half_to_any_other(self, options):
        P, terminal, _, rng = draw(10)
        R = reward(rng, P)
        trivial = [
            np.zeros_like(P),
            shaping(rng, P, terminal, size=1e3),
            redistribution(rng, P),
            shaping(rng, P, terminal) + redistribution(rng, P),
        ]
        for one in trivial:
            assert starc(P, one, R, GAMMA, terminal=terminal, **options) == pytest.approx(0.5)
            for other in trivial:
                assert starc(P, one, other, GAMMA, terminal=terminal, **options) == 0

    def test_a_constant_reward_is_trivial_only_if_episodes_do_not_end(self):
        P, terminal, _, rng = draw(11)
        ones, R = np.ones(P.shape), reward(rng, P)
        assert starc(P, ones, R, GAMMA) == pytest.approx(0.5)
        assert starc(P, ones, R, GAMMA, terminal=terminal) != pytest.approx(0.5)
        assert epic(P, ones, R, GAMMA) == pytest.approx(0.5)

    def test_rewards_of_state_and_action_are_tables_that_repeat(self):
        P, terminal, _, rng = draw(12)
        flat, R = rng.normal(size=(S, A)), reward(rng, P)
        wide = np.repeat(flat[:, :, None], S, axis=2)
        assert starc(P, flat, R, GAMMA, terminal=terminal) == starc(P, wide, R, GAMMA, terminal=terminal)


class TestRegret:
    @given(seed=SEEDS, terminals=st.integers(0, 1))
    def test_worst_regret_is_the_linear_program(self, seed, terminals):
        P, terminal, start, rng = draw(seed, terminals)
        R1, R2 = reward(rng, P), reward(rng, P)
        found = worst_regret(P, R1, R2, GAMMA, start, terminal=terminal)
        assert found == pytest.approx(reference.worst_regret(P, R1, R2, GAMMA, start, terminal), abs=1e-7)

    @given(seed=SEEDS)
    def test_optimal_regret_is_the_enumeration(self, seed):
        P, terminal, start, rng = draw(seed)
        R1, R2 = reward(rng, P), reward(rng, P).round()  # rounded: ties
        values = reference.optimal_values(P, R2, GAMMA, terminal)
        optimal = (values >= values.max(axis=0) - 1e-9).all(axis=1)
        j1 = reference.returns(P, R1, GAMMA, start, terminal)
        expected = (j1.max() - j1[optimal].min()) / (j1.max() - j1.min())
        found = optimal_regret(P, R1, R2, GAMMA, start, terminal=terminal)
        assert found == pytest.approx(expected, abs=1e-9)

    @given(seed=SEEDS)
    def test_regrets_are_ordered_and_bounded(self, seed):
        P, terminal, start, rng = draw(seed)
        R1, R2 = reward(rng, P), reward(rng, P)
        optimal, worst = (
            f(P, R1, R2, GAMMA, start, terminal=terminal) for f in (optimal_regret, worst_regret)
        )
        assert 0 <= optimal <= worst + 1e-9
        assert worst <= 1

    @given(seed=SEEDS)
    def test_equivalent_rewards_have_no_regret_and_reversed_ones_all_of_it(self, seed):
        P, terminal, start, rng = draw(seed)
        R = reward(rng, P)
        disguised = 2 * R + shaping(rng, P, terminal) + redistribution(rng, P)
        for regret in (optimal_regret, worst_regret):
            assert regret(P, R, disguised, GAMMA, start, terminal=terminal) <= 1e-9
            assert regret(P, R, -disguised, GAMMA, start, terminal=terminal) == pytest.approx(1.0)

    def test_trivial_rewards(self):
        P, terminal, start, rng = draw(13)
        R, trivial = reward(rng, P), shaping(rng, P, terminal)
        for regret in (optimal_regret, worst_regret):
            assert regret(P, trivial, R, GAMMA, start, terminal=terminal) == 0  # nothing to lose
            assert regret(P, R, trivial, GAMMA, start, terminal=terminal) == pytest.approx(1.0)


class TestHostileInput:
    def test_tables_that_do_not_fit(self):
        P, terminal, start, rng = draw(14)
        R = reward(rng, P)
        with pytest.raises(AuditError, match="sum to 1"):
            starc(0.5 * P, R, R, GAMMA)
        with pytest.raises(AuditError, match=r"must be \(S, A, S\)"):
            starc(P[:, :, :-1], R, R, GAMMA)
        with pytest.raises(AuditError, match="A reward must be"):
            starc(P, R[:-1], R, GAMMA)
        with pytest.raises(AuditError, match=r"not finite at \[1, 0, 2\]"):
            epic(P, R, _with_nan(R), GAMMA)
        with pytest.raises(AuditError, match="terminal must be"):
            starc(P, R, R, GAMMA, terminal=np.zeros(S))
        with pytest.raises(AuditError, match="gamma must be"):
            starc(P, R, R, 1.5)
        with pytest.raises(AuditError, match="start must be"):
            worst_regret(P, R, R, GAMMA, 2 * start, terminal=terminal)

    def test_options_that_do_not_fit(self):
        P, terminal, _, rng = draw(15)
        R = reward(rng, P)
        with pytest.raises(AuditError, match="canonical must be"):
            starc(P, R, R, GAMMA, canonical="other")
        with pytest.raises(AuditError, match="norm must be"):
            starc(P, R, R, GAMMA, norm="l3")
        with pytest.raises(AuditError, match="has no policy"):
            starc(P, R, R, GAMMA, canonical="minimal", policy=np.zeros(S, int))
        with pytest.raises(AuditError, match="actions must be in"):
            starc(P, R, R, GAMMA, policy=np.full(S, A))
        with pytest.raises(AuditError, match="weights must be"):
            starc(P, R, R, GAMMA, weights=-np.ones((S, A)))
        with pytest.raises(AuditError, match="nothing is compared"):
            starc(
                P,
                R,
                R,
                GAMMA,
                terminal=terminal,
                weights=np.where(terminal, 1.0, 0.0)[:, None] * np.ones((S, A)),
            )
        with pytest.raises(AuditError, match="a distribution over"):
            epic(P, R, R, GAMMA, actions=np.ones(A))

    def test_no_discount_without_an_end_says_what_to_do(self):
        P, _, start, rng = draw(16, terminals=0)
        R = reward(rng, P)
        with pytest.raises(AuditError, match=r'never ends.*canonical="minimal"'):
            starc(P, R, R, 1.0)
        with pytest.raises(AuditError, match="Take gamma < 1"):
            optimal_regret(P, R, R, 1.0, start)


def _with_nan(R):
    R = R.copy()
    R[1, 0, 2] = np.nan
    return R


def test_five_hundred_states_are_a_matter_of_seconds():
    P, terminal, _, rng = draw(17, states=500, actions=4)
    R = reward(rng, P)
    disguised = 2 * R + shaping(rng, P, terminal) + redistribution(rng, P)
    for canonical in ("val", "minimal"):
        assert starc(P, R, disguised, GAMMA, terminal=terminal, canonical=canonical) <= 1e-9
