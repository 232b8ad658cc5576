"""Look-ahead advice: potentials that depend on the action too.

F_t = gamma * Phi(s_{t+1}, a_{t+1}) - Phi(s_t, a_t), with Phi = 0 after the episode. The next action is known one step later, so
the reward of a step is (an episodic node with a horizon of one step). Source: Wiewiora, Cottrell & Elkan 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
import numpy as np

from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ExpressionError, ObservationError
from shapegym.shaping.kernels.episodes import successors
from shapegym.shaping.terms.potential import agreed_gamma, check_gamma
from shapegym.shaping.terms.states import StateFunction, as_state_function
from shapegym.shaping.transitions import Array, Episodes, Spec, State, Transitions
from shapegym.shaping.types import EpisodicCombinator, Expression, Guarantee, Term


@dataclass(frozen=True)
class ActionPotential(Term):
    """Phi(s_t, a_t) for discrete actions: one state function an action. An operand for `LookAhead`; alone it is no potential.

    Args:
        phis: Phi(., a) for a = 0, 1, ...
    """

    phis: tuple[StateFunction, ...] = ()

    guarantee: ClassVar[Guarantee] = Guarantee.NONE

    def __post_init__(self) -> None:
        object.__setattr__(self, "phis", tuple(as_state_function(phi) for phi in self.phis))
        if not self.phis:
            raise ExpressionError("ActionPotential needs one state function for every action, got none.")

    @property
    def reads_before(self) -> tuple[str, ...]:
        """See `Term.reads_before`."""
        return tuple(dict.fromkeys(name for phi in self.phis for name in phi.reads))

    def init(self, spec: Spec) -> State:
        """See `Term.init`; raises `ObservationError` unless there is one state function for each discrete action."""
        space = spec.action_space
        if not isinstance(space, gym.spaces.Discrete) or space.n != len(self.phis):
            raise ObservationError(
                f"ActionPotential has {len(self.phis)} state functions, one for each discrete action, but the actions are {space}."
            )
        for phi in self.phis:
            phi.check(spec)
        return {"start": int(space.start)}

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        values = np.stack([phi.value(transitions.obs, transitions.features) for phi in self.phis])
        actions = np.asarray(transitions.action).reshape(-1).astype(np.int64) - state["start"]
        return values[actions, np.arange(len(actions))]


@dataclass(frozen=True)
class LookAhead(EpisodicCombinator):
    """``gamma * v_{t+1} - v_t`` over the values v of one episode; v = 0 after its last step.

    Where a block ends inside an episode, v_{t+1} is not known yet: the last step of the fragment is paid ``-v_t``, and the first
    step of the next fragment its own v more: the gamma * v_{t+1} that was due, one step later. So an episode's discounted return
    does not depend on where rollouts were cut; its plain sum, which the books show, grows by (1 - gamma) v at each cut.

    Guarantee of ``TaskReward() + LookAhead(ActionPotential(...))``: optimal actions are argmax_a Q(s, a) + Phi(s, a) (advice); an
    agent that maximises Q alone can be misled.

    Args:
        of: measures Phi(s_t, a_t).
        gamma: the agent's discount.
    """

    of: Expression = None  # type: ignore[assignment]
    gamma: float = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if not isinstance(self.of, Expression):
            raise ExpressionError(f"LookAhead needs an expression that measures Phi(s, a), got {self.of!r}.")
        if self.gamma is None:
            raise ExpressionError("LookAhead needs gamma, the agent's discount.")
        check_gamma(self.gamma)

    def check(self, spec: Spec) -> None:
        """Raise `DiscountError` unless gamma is the agent's."""
        agreed_gamma(self.gamma, spec)

    def compose_guarantee(self, guarantees: Sequence[Guarantee]) -> Guarantee:
        """Advice, if the operand is a function of state and action."""
        del guarantees
        return Guarantee.ADVICE if isinstance(self.of, ActionPotential) else Guarantee.NONE

    def carry(self, num_lanes: int) -> State:
        """Return which lanes ended their last block inside an episode."""
        return {"unfinished": np.zeros(num_lanes, dtype=bool)}

    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        """See `EpisodicCombinator.combine_block`."""
        v_t, v_tp1 = with_successors(values[0], episodes, carry)
        return self.gamma * v_tp1 - v_t


def with_successors(v: Array, episodes: Episodes, carry: State) -> tuple[Array, Array]:
    """Return v_t and v_{t+1} for nodes that pay a difference of the two, (T, B) both; v_{t+1} is 0 after an episode's last step.

    At the end of a block v_{t+1} is 0 too, and the first step of the next block has v_t = 0, because its v was due one step before.

    Args:
        v: (T, B).
        episodes: the block's segments.
        carry: holds ``unfinished``, (B,) bool: lanes whose last block ended inside an episode; updated.
    """
    xp = array_namespace(v)
    index = np.empty(episodes.first.shape, dtype=np.int64)
    resumed = np.empty(episodes.first.shape, dtype=bool)
    successors(episodes.first, episodes.last, episodes.active, carry["unfinished"], index, resumed)
    zeros = xp.zeros_like(v)
    v_tp1 = xp.where(xp.asarray(index >= 0), v[index, np.arange(v.shape[1])], zeros)
    return xp.where(xp.asarray(resumed), zeros, v), v_tp1


def look_ahead_advice(phis: Sequence[StateFunction | str], gamma: float) -> Expression:
    """Return look-ahead advice from one state function for every discrete action. See `LookAhead`."""
    return LookAhead(ActionPotential(tuple(phis)), gamma)  # type: ignore[arg-type]
