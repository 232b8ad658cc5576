"""Progress and the best so far, held to plain loops, and what they promise beside a potential."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from progress_reference import best_so_far, progress

from shapegym.shaping.algebra import TaskReward
from shapegym.shaping.errors import DiscountError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.promises import Keeps
from shapegym.shaping.states.distance import Distance, Gaussian
from shapegym.shaping.surfaces.gym_env import ShapedEnv
from shapegym.shaping.terms.best_so_far import BestSoFar
from shapegym.shaping.terms.potential import Potential
from shapegym.shaping.terms.progress import Progress
from shapegym.shaping.transitions import Spec, Transitions
from shapegym.shaping.tree import guarantee_of, largest
from shapegym.shaping.types import Expression

SPACE = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
heights = st.lists(st.integers(-8, 8).map(float), min_size=2, max_size=9)


def paid(expression: Expression, episodes: list[list[float]], *, terminated: bool) -> list[list[float]]:
    """What the episodes of one lane are paid, one after the other."""
    engine = RewardEngine(expression, Spec(1, SPACE, gym.spaces.Discrete(2)))
    yes, no = np.ones(1, dtype=bool), np.zeros(1, dtype=bool)
    rewards = []
    for states in episodes:
        rewards.append([])
        for t in range(len(states) - 1):
            last = yes if t == len(states) - 2 else no
            ends = (last, no) if terminated else (no, last)
            rows = (np.array([[states[t]]]), np.zeros(1, int), np.array([[states[t + 1]]]), np.zeros(1))
            rewards[-1].append(engine.step(Transitions(*rows, *ends, yes if t == 0 else no, yes))[0].item())
    return rewards


@given(st.lists(heights, min_size=1, max_size=3), st.booleans())
def test_progress_is_what_loops_say(episodes: list[list[float]], terminated: bool) -> None:
    rewards = paid(Progress("obs[0]"), episodes, terminated=terminated)
    assert rewards == [progress(states) for states in episodes]
    assert [sum(row) for row in rewards] == [states[-1] - states[0] for states in episodes]


@given(st.lists(heights, min_size=1, max_size=3), st.booleans())
def test_only_what_is_better_than_ever_before_is_paid(episodes: list[list[float]], terminated: bool) -> None:
    rewards = paid(BestSoFar("obs[0]"), episodes, terminated=terminated)
    assert rewards == [best_so_far(states) for states in episodes]
    assert [sum(row) for row in rewards] == [max(states) - states[0] for states in episodes]


@given(heights)
def test_progress_and_potential_differ_in_the_terminal_state_alone_where_nothing_is_discounted(
    states: list[float],
) -> None:
    (ours,) = paid(Progress("obs[0]"), [states], terminated=True)
    (theirs,) = paid(Potential("obs[0]", gamma=1.0), [states], terminated=True)
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] - theirs[-1] == states[-1]
    (ours,) = paid(Progress("obs[0]"), [states], terminated=False)
    assert ours == paid(Potential("obs[0]", gamma=1.0), [states], terminated=False)[0]


def test_progress_is_paid_beside_any_discount_and_promises_nothing() -> None:
    """Gymnasium's own environments pay so, whatever the agent's discount."""
    near = Distance("obs[0]", (0.5,), kernel=Gaussian(1.0))
    for term in (Progress(near), BestSoFar(near)):
        assert guarantee_of(TaskReward() + term).keeps is Keeps.NOTHING
        assert largest(term) == 2.0
        env = ShapedEnv(gym.make("MountainCar-v0"), TaskReward() + term, gamma=0.99)
        env.reset(seed=0)
        env.step(2)
    assert largest(Progress("obs[0]")) is None


@pytest.mark.parametrize(("own", "agents"), [(1.0, 0.99), (None, None)])
def test_a_discount_that_does_not_fit_names_the_node_that_needs_none(
    own: float | None, agents: float | None
) -> None:
    with pytest.raises(DiscountError, match=r"Progress\(phi\)"):
        ShapedEnv(gym.make("MountainCar-v0"), Potential("obs[0]", gamma=own), gamma=agents)
