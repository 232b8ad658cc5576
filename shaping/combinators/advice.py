"""Look-ahead advice: potentials that depend on the action too.

F_t = gamma * Phi(s_{t+1}, a_{t+1}) - Phi(s_t, a_t), with Phi = 0 in terminal states. The next action is known one step later, so
the reward of a step is (an episodic node with a horizon of one step). After a truncated step it is never known: the mean over all
actions stands for it, which is exact where Phi(s_{t+1}, .) is the same for all. Source: Wiewiora, Cottrell & Elkan 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from annotated_types import MinLen
from typing_extensions import override

from shapegym.shaping.algebra import bounded
from shapegym.shaping.arrays import array_namespace
from shapegym.shaping.errors import ObservationError
from shapegym.shaping.kernels.episodes import successors
from shapegym.shaping.promises import Keeps
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.states.functions import Phi, Read, StateFunction, as_state_function
from shapegym.shaping.terms.potential import Discount, agreed_gamma
from shapegym.shaping.transitions import Array, Episodes, Spec, State, Transitions
from shapegym.shaping.types import Elementwise, EpisodicCombinator, Example, Expression, Term


@dataclass(frozen=True)
class ActionPotential(Term):
    """Phi(s_t, a_t) for discrete actions: one state function an action. An operand for `LookAhead`; alone it is no potential.

    Args:
        phis: Phi(., a) for a = 0, 1, ...
    """

    phis: Annotated[tuple[Phi, ...], MinLen(1)]

    remembers: ClassVar[Remembers] = {"start": (SAME,)}
    looks = "before"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((Read("obs[0]"), Read("obs[1]"), Read("features.progress")))),)

    @property
    def _functions(self) -> tuple[StateFunction, ...]:
        return tuple(map(as_state_function, self.phis))

    @override
    def init(self, spec: Spec) -> State:
        space = spec.action_space
        if not isinstance(space, gym.spaces.Discrete) or space.n != len(self.phis):
            raise ObservationError(
                f"ActionPotential has {len(self.phis)} state functions, one for each discrete action, but the actions are {space}."
            )
        return {**super().init(spec), "start": int(space.start)}

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        values = np.stack([phi.value(transitions.obs, transitions.features) for phi in self._functions])
        actions = np.asarray(transitions.action).reshape(-1).astype(np.int64) - state["start"]
        return values[actions, np.arange(len(actions))]


@dataclass(frozen=True)
class MeanActionPotential(Term):
    """The mean of Phi(s_{t+1}, a) over all actions a, and 0 where s_{t+1} is terminal: what `LookAhead` takes after the last step.

    Args:
        phis: as in `ActionPotential`.
    """

    phis: Annotated[tuple[Phi, ...], MinLen(1)]

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((Read("obs[0]"), Read("features.progress")))),)

    @override
    def measure(self, transitions: Transitions, state: State, *inputs: Any) -> np.ndarray:
        functions = map(as_state_function, self.phis)
        values = [phi.value(transitions.next_obs, transitions.next_features) for phi in functions]
        return np.where(transitions.terminated, 0.0, np.mean(values, axis=0))


@dataclass(frozen=True)
class LookAhead(EpisodicCombinator):
    """``gamma * v_{t+1} - v_t`` over the values v of one episode; after its last step v is what ``after`` says, or 0.

    Where a block ends inside an episode, v_{t+1} is not known yet: the last step of the fragment is paid ``-v_t``, and the first
    step of the next fragment its own v more: the gamma * v_{t+1} that was due, one step later. So an episode's discounted return
    does not depend on where rollouts were cut; its plain sum, which the books show, grows by (1 - gamma) v at each cut.

    With ``TaskReward() + LookAhead(ActionPotential(...))`` optimal actions are argmax_a Q(s, a) + Phi(s, a) (advice), in tasks
    whose episodes terminate; an agent that maximises Q alone can be misled. Where episodes are truncated and the agent
    bootstraps, the last step lacks the gamma * Phi of an action that nobody took: give ``after``, as `look_ahead_advice` does.
    Bounded by what ``of`` is, and gamma times the larger one of both.

    Args:
        of: measures Phi(s_t, a_t).
        gamma: the agent's discount.
        after: what stands for v_{t+1} at an episode's last step, such as `MeanActionPotential`; None is 0.
    """

    of: Expression
    gamma: Discount
    after: Elementwise | None = None

    discount = property(lambda self: self.gamma)
    waits_for_end: ClassVar[bool] = False

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        phis = (Read("obs[0]"), Read("obs[1]"), Read("obs[2]"))
        return (
            Example(cls(ActionPotential(phis), 0.9)),
            Example(cls(ActionPotential(phis), 0.9, MeanActionPotential(phis))),
        )

    @override
    def check(self, spec: Spec) -> None:
        agreed_gamma(self.gamma, spec)

    @override
    def compose_keeps(self, kept: Sequence[Keeps]) -> Keeps:
        return Keeps.ADVICE if isinstance(self.of, ActionPotential) else Keeps.NOTHING

    @override
    def compose_bound(self, bounds: Sequence[float | None]) -> float | None:
        return bounded(lambda sizes: sizes[0] + self.gamma * max(sizes), bounds)

    @override
    def carry(self, num_lanes: int) -> State:
        """Return which lanes ended their last block inside an episode."""
        return {"unfinished": np.zeros(num_lanes, dtype=bool)}

    @override
    def combine_block(self, values: Sequence[Array], episodes: Episodes, carry: State) -> Array:
        v_t, v_tp1 = with_successors(values[0], episodes, carry)
        if self.after is not None:
            xp = array_namespace(v_t)
            v_tp1 = xp.where(xp.asarray(episodes.last & episodes.active), values[1], v_tp1)
        return self.gamma * v_tp1 - v_t


def with_successors(v: Array, episodes: Episodes, carry: State) -> tuple[Array, Array]:
    """Return v_t and v_{t+1} for nodes that pay a difference of the two, (T, B) both; v_{t+1} is 0 after an episode's last step.

    At the end of a block v_{t+1} is 0 too, and the first step of the next block has v_t = 0, because its v was due one step before.
    The carry holds ``unfinished``, (B,) bool: lanes whose last block ended inside an episode; it is updated.
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
    return LookAhead(ActionPotential(tuple(phis)), gamma, MeanActionPotential(tuple(phis)))
