"""The inner problem of tabular blending: a softmax learner on stored episodes, its optimum, and its derivatives.

The learner ascends, on episodes D and with G_t the return of the blended reward at the learned discount,

    Delta[s, a] = W[s, a] - (sum_b W[s, b]) pi(a | s) - decay theta[s, a]
    W[s, a] = max(0, mean_D sum_t 1[s_t = s, a_t = a] A_t),

which is REINFORCE with weight decay, D held fixed. Two choices are this library's and not the paper's. A_t is G_t less the mean
return of its state in D (a baseline), so that costs teach as well as rewards do. And W is clipped at 0: the Hessian is negative
definite only where the sums of W are not negative. With both, an action counts as far as it did better than its state's mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.bilevel import tabular_kernels as kernels
from shapegym.agents.bilevel.implicit import Neumann, judge, neumann, norm
from shapegym.agents.errors import SettingsError
from shapegym.envs.tabular.task import FiniteTask

Array: TypeAlias = NDArray[np.float64]
Gradient = Literal["implicit", "unrolled"]


@dataclass(frozen=True, eq=False)
class Weighted:
    """A part of a blended reward and its weight.

    Attributes:
        table: value of the part by transition, (S, A, S).
        weight: at the start.
        per: what has a weight of its own: the part, every state, or every state and action.
        learned: whether the outer problem changes it.
    """

    table: Array
    weight: float = 1.0
    per: Literal["part", "state", "state_action"] = "part"
    learned: bool = True


class Blend:
    """r_phi(s, a, s') = sum_i phi_i(s, a) part_i(s, a, s').

    Attributes:
        names: of the parts, (M,).
        tables: (M, S, A, S).
        cells: index into phi of a part's weight in (s, a), (M, S, A) int64.
        initial: phi at the start, (m,).
        learned: (m,) bool.

    Args:
        parts: by name; `Weighted(np.ones((S, A, S)), 0.0, "state")` is a learned bias.

    Raises:
        SettingsError: there are no parts, or tables do not fit together or are not finite.
    """

    def __init__(self, parts: Mapping[str, Weighted]) -> None:
        if not parts:
            raise SettingsError("A blend needs at least one part, such as {'task': Weighted(R)}.")
        shape = next(iter(parts.values())).table.shape
        if len(shape) != 3 or shape[0] != shape[2]:
            raise SettingsError(f"Tables of a blend must be (S, A, S), got {shape}.")
        own = {
            "part": np.zeros(shape[:2], np.int64),
            "state": np.repeat(np.arange(shape[0])[:, None], shape[1], axis=1),
            "state_action": np.arange(shape[0] * shape[1]).reshape(shape[:2]),
        }
        cells, initial, learned, start = [], [], [], 0
        for name, part in parts.items():
            if part.per not in own:
                raise SettingsError(
                    f"Weights of {name!r} are per {part.per!r}; they can be per {', '.join(own)}."
                )
            if part.table.shape != shape or not np.isfinite(part.table).all() or not np.isfinite(part.weight):
                raise SettingsError(
                    f"The part {name!r} needs a finite weight and a finite table of shape {shape}."
                )
            cells.append(start + own[part.per])
            count = int(own[part.per].max()) + 1
            initial += [part.weight] * count
            learned += [part.learned] * count
            start += count
        self.names = tuple(parts)
        self.tables: Array = np.stack([part.table for part in parts.values()]).astype(np.float64)
        self.cells: NDArray[np.int64] = np.stack(cells)
        self.initial: Array = np.array(initial, np.float64)
        self.learned: NDArray[np.bool_] = np.array(learned)

    def weights(self, phi: Array) -> dict[str, Array]:
        """Phi (..., m) by part: (..., 1), (..., S) or (..., S A)."""
        return {
            name: phi[..., cells.min() : cells.max() + 1]
            for name, cells in zip(self.names, self.cells, strict=True)
        }


@dataclass(frozen=True, eq=False)
class Experience:
    """E episodes of at most T steps; what lies behind an episode's length means nothing.

    Attributes:
        states: s_0 .. s_T, (E, T + 1) int64.
        actions: (E, T) int64.
        lengths: (E,) int64.
    """

    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def look_up(self, tables: Array) -> Array:
        """Tables (..., S, A, S) at every step, (..., E, T)."""
        return np.ascontiguousarray(tables[..., self.states[:, :-1], self.actions, self.states[:, 1:]])

    def joined(self, other: Experience, capacity: int) -> Experience:
        """The last `capacity` episodes of both."""
        return Experience(
            *(
                np.concatenate([mine, theirs])[-capacity:]
                for mine, theirs in (
                    (self.states, other.states),
                    (self.actions, other.actions),
                    (self.lengths, other.lengths),
                )
            )
        )


def play(task: FiniteTask, policy: Array, episodes: int, rng: np.random.Generator) -> Experience:
    """Episodes of a policy (S, A)."""
    horizon = task.max_steps
    found = Experience(
        np.zeros((episodes, horizon + 1), np.int64),
        np.zeros((episodes, horizon), np.int64),
        np.zeros(episodes, np.int64),
    )
    cumulative, start = np.cumsum(task.probability, axis=2), np.cumsum(task.start)
    kernels.play(
        policy,
        task.next_state.copy(),  # writable, as Numba has a type for read-only arrays
        cumulative / cumulative[..., -1:],
        task.terminal.copy(),
        start / start[-1],
        rng.random((episodes, horizon + 1, 2)),
        found.states,
        found.actions,
        found.lengths,
    )
    return found


def softmax(theta: Array) -> Array:
    """The policy (S, A) of logits (S, A)."""
    policy = np.empty_like(theta)
    kernels.softmax(theta, policy)
    return policy


def advantages(
    data: Experience, rewards: Array, gamma: float, damping: float, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """Summed advantages and visits of every state and action, a mean over episodes: (S, A) each.

    Args:
        data: the episodes.
        rewards: at every step, (E, T).
        gamma: discount of the returns.
        damping: step t counts damping^t.
        shape: (S, A).
    """
    sums, counts = np.empty(shape), np.empty(shape)
    kernels.sum_returns(data.states, data.actions, data.lengths, rewards, gamma, damping, sums, counts)
    episodes = len(data.lengths)
    return (sums - _share(counts) * sums.sum(axis=1, keepdims=True)) / episodes, counts / episodes


def _share(counts: Array) -> Array:
    """Of a state's visits, those with each action, (S, A)."""
    total = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


@dataclass(frozen=True, eq=False)
class InnerProblem:
    """A softmax learner on given episodes, for one phi and one discount.

    Attributes:
        blend: the parts.
        data: the episodes.
        phi: (m,).
        gamma: the discount of the learner.
        decay: of theta, above 0.
    """

    blend: Blend
    data: Experience
    phi: Array
    gamma: float
    decay: float

    @cached_property
    def parts(self) -> Array:
        """At every step, (M, E, T)."""
        return self.data.look_up(self.blend.tables)

    @cached_property
    def rewards(self) -> Array:
        """r_phi at every step, (E, T)."""
        rewards = np.zeros(self.data.actions.shape)
        data = self.data
        kernels.blend_rewards(
            self.phi, self.blend.cells, data.states, data.actions, data.lengths, self.parts, rewards
        )
        return rewards

    @cached_property
    def _advantages(self) -> tuple[Array, Array]:
        return advantages(self.data, self.rewards, self.gamma, 1.0, self.blend.cells.shape[1:])

    @cached_property
    def weights(self) -> Array:
        """W, (S, A)."""
        return np.maximum(self._advantages[0], 0.0)

    @cached_property
    def step(self) -> float:
        """1 / a bound on max|eig(H)|: diag(pi) - pi pi^T has none above 1/2."""
        return 1.0 / (0.5 * float(self.weights.sum(axis=1).max()) + self.decay)

    def direction(self, theta: Array) -> Array:
        """Delta(theta), (S, A)."""
        found = np.empty_like(theta)
        kernels.direction(self.weights, self.decay, theta, softmax(theta), found)
        return found

    def solve(self, theta: Array, steps: int, kept: int = 0) -> Array:
        """Ascend from `theta`; return the last `kept` iterates and the final one, (kept + 1, S, A)."""
        path = np.empty((min(kept, steps) + 1, *theta.shape))
        kernels.ascend(self.weights, self.decay, self.step, steps, theta.copy(), path)
        return path

    def hessian_product(self, theta: Array, x: Array) -> Array:
        """H x at `theta`, (S, A)."""
        found = np.empty_like(x)
        kernels.hessian_product(self.weights, self.decay, softmax(theta), x, found)
        return found

    def pull_back(self, by_weights: Array) -> tuple[Array, float]:
        """Derivatives by phi (m,) and by gamma of sum_{s,a} c[s, a] W[s, a], c = `by_weights` (S, A)."""
        raw, counts = self._advantages
        c = np.where(raw > 0, by_weights, 0.0)
        c = (c - (_share(counts) * c).sum(axis=1, keepdims=True)) / len(self.data.lengths)
        by_phi = np.empty_like(self.phi)
        data = self.data
        by_gamma = kernels.pull_back_returns(
            c,
            self.blend.cells,
            data.states,
            data.actions,
            data.lengths,
            self.parts,
            self.rewards,
            self.gamma,
            by_phi,
        )
        return by_phi, by_gamma


@dataclass(frozen=True, eq=False)
class HyperGradient:
    """dJ/dphi and dJ/dgamma, and the series they come from.

    Attributes:
        by_phi: (m,).
        by_gamma: a number.
        series: its verdict says whether a step may be made.
    """

    by_phi: Array
    by_gamma: float
    series: Neumann


def hyper_gradient(
    problem: InnerProblem, path: Array, by_theta: Array, terms: int, kind: Gradient = "implicit"
) -> HyperGradient:
    """How the outer objective changes with the blend, through the learner.

    "implicit": -(dJ/dtheta)^T H^{-1} A at the last iterate, by `terms` terms of the Neumann series. "unrolled": backward through
    the last ascent steps of `path`, with everything before them held fixed. At the optimum both are the same sum.

    Args:
        problem: the inner problem.
        path: iterates of its ascent, the final one last, (R, S, A); "unrolled" needs `terms` + 1 of them.
        by_theta: dJ/dtheta of the task return at the TRUE discount, (S, A).
        terms: K.
        kind: see above.
    """
    if kind == "implicit":
        theta, shape = path[-1], by_theta.shape
        series = neumann(
            lambda x: problem.hessian_product(theta, x.reshape(shape)).ravel(),
            by_theta.ravel(),
            step=problem.step,
            terms=terms,
        )
        by_weights = _centred(series.solution.reshape(shape), softmax(theta))
    else:
        if len(path) < terms + 1:
            raise SettingsError(f"Unrolling {terms} steps needs {terms + 1} iterates, got {len(path)}.")
        cotangent, by_weights, norms = by_theta, np.zeros_like(by_theta), [norm(by_theta)]
        for theta in path[-2 : -terms - 2 : -1]:
            by_weights += problem.step * _centred(cotangent, softmax(theta))
            cotangent = cotangent + problem.step * problem.hessian_product(theta, cotangent)
            norms.append(norm(cotangent))
        series = Neumann(by_weights.ravel(), tuple(norms), judge(norms))
    by_phi, by_gamma = problem.pull_back(by_weights)
    return HyperGradient(by_phi, by_gamma, series)


def _centred(u: Array, policy: Array) -> Array:
    """The derivative of u . Delta by W: u[s, a] - pi(s) . u[s]."""
    return u - (policy * u).sum(axis=1, keepdims=True)
