"""BARFI on a finite task: learn the weights of a blended reward, and the learner's discount, so that learning serves the task.

    outer:  max_{phi, varphi}  J(theta*(phi, varphi)),    J: task reward, true discount
    inner:  theta*(phi, varphi): where the update of the learner on r_phi at the discount gamma_varphi = sigmoid(varphi) vanishes

The learner ascends, on stored episodes D and with G_t the return of r_phi = sum_i phi_i part_i at the learned discount,

    Delta[s, a] = W[s, a] - (sum_b W[s, b]) pi(a | s) - decay theta[s, a],   pi = softmax(theta)
    W[s, a] = max(0, mean_D sum_t 1[s_t = s, a_t = a] A_t),

which is REINFORCE with weight decay, D held fixed. Two choices are ours and not the paper's. A_t is G_t less the mean return of its
state in D (a baseline), so that costs teach as well as rewards do. And W is clipped at 0: the Hessian is negative definite only
where the sums of W are not negative. With both, an action counts as far as it did better than its state's mean.

Terminal states are absorbing and pay nothing, so episodes that end early need no mask.

Source: Gupta et al. (2023), *Behavior Alignment via Reward Function Optimization*, algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from scipy.signal import lfilter

from shapegym.agents.algorithms.bilevel.implicit import Neumann, judge, neumann, norm
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.tabular.solver import policy_return
from shapegym.shaping.kernels._jit import jit

Array: TypeAlias = NDArray[np.float64]
Gradient = Literal["implicit", "unrolled"]

GAMMA = 0.99
"""The task's discount, by which policies are judged."""
INNER_GAMMA = 0.95
"""The learner's discount at the start."""
STEPS = 60_000
"""Environment steps, warm-up included; the outer step that reaches them is the last."""
DECAY = 0.1
"""Weight decay of the learner; keeps its optimum stochastic and its Hessian invertible."""
TERMS = 100
"""Of the Neumann series, or unrolled steps."""
CAPACITY = 200
"""Episodes that are kept."""
INNER_STEPS = 200
"""Ascent steps of the learner in each outer step."""
_WARM_UP = 100  # episodes of the uniform policy to start with
_FRESH = 20  # episodes of the present policy in each outer step: they estimate dJ/dtheta, and join the data
_RESTART = (
    0.5  # share of theta that the learner goes on from: a policy that has become certain cannot answer to phi
)
_RATE = 0.1  # of Adam


class Played(NamedTuple):
    """E episodes of T steps.

    Attributes:
        states: s_0 .. s_T, (E, T + 1) int64.
        actions: (E, T) int64.
    """

    states: NDArray[np.int64]
    actions: NDArray[np.int64]

    def look_up(self, table: Array) -> Array:
        """A table (S, A, S) at every step, (E, T)."""
        return np.asarray(table[self.states[:, :-1], self.actions, self.states[:, 1:]])

    def summed(self, values: Array, *shape: int) -> Array:
        """Values (E, T) summed by state and action, (S, A), or by transition, (S, A, S)."""
        found = (self.states[:, :-1], self.actions, self.states[:, 1:])[: len(shape)]
        index = np.ravel_multi_index(found, shape)
        return np.bincount(index.ravel(), values.ravel(), math.prod(shape)).astype(np.float64).reshape(shape)


def play(task: FiniteTask, policy: Array, episodes: int, rng: np.random.Generator) -> Played:
    """Return episodes of a policy (S, A)."""
    noise = rng.random((episodes, task.max_steps + 1, 2))
    found = Played(*(np.empty((episodes, task.max_steps + more), np.int64) for more in (1, 0)))
    found.states[:, 0] = np.searchsorted(np.cumsum(task.start), noise[:, -1, 0], side="right")
    _play(policy, task.next_state.copy(), task.probability, noise, *found)  # of one layout, whatever the task
    return found


@jit
def _play(
    policy: Array,
    next_state: NDArray[np.int64],
    probability: Array,
    noise: Array,
    states: NDArray[np.int64],
    actions: NDArray[np.int64],
) -> None:
    for e in range(actions.shape[0]):
        for t in range(actions.shape[1]):
            s = states[e, t]
            actions[e, t] = _drawn(policy[s], noise[e, t, 0])
            branch = _drawn(probability[s, actions[e, t]], noise[e, t, 1])
            states[e, t + 1] = next_state[s, actions[e, t], branch]


@jit
def _drawn(probability: Array, noise: float) -> int:
    index, below = 0, probability[0]
    while noise >= below and index < len(probability) - 1:
        index += 1
        below += probability[index]
    return index


@jit
def _ascend(weights: Array, decay: float, step: float, path: Array) -> None:
    """path[k + 1] = path[k] + step Delta(path[k]); weights are W, (S, A)."""
    states, actions = weights.shape
    likelihood = np.empty(actions)
    for k in range(len(path) - 1):
        for s in range(states):
            top = path[k, s].max()
            for a in range(actions):
                likelihood[a] = np.exp(path[k, s, a] - top)
            scale = weights[s].sum() / likelihood.sum()
            for a in range(actions):
                delta = weights[s, a] - scale * likelihood[a] - decay * path[k, s, a]
                path[k + 1, s, a] = path[k, s, a] + step * delta


def softmax(theta: Array) -> Array:
    """The policy (S, A) of logits (S, A)."""
    return np.asarray(special.softmax(theta, axis=1))


def discounted(values: Array, gamma: float) -> Array:
    """y_t = x_t + gamma y_{t-1} along the last axis; of returns, backwards."""
    return np.asarray(lfilter([1.0], [1.0, -gamma], values))


def returns_of(rewards: Array, gamma: float) -> Array:
    """G_t = r_t + gamma G_{t+1}, (E, T)."""
    return discounted(rewards[:, ::-1], gamma)[:, ::-1]


def advantages(
    data: Played, returns: Array, shape: tuple[int, int], damping: float = 1.0
) -> tuple[Array, Array]:
    """Advantages summed by state and action, a mean over episodes, and each action's share of its state's visits: (S, A) each.

    Args:
        data: the episodes.
        returns: (E, T).
        shape: (S, A).
        damping: step t counts damping^t.
    """
    counted = np.broadcast_to(damping ** np.arange(returns.shape[1]), returns.shape)
    sums, counts = data.summed(counted * returns, *shape), data.summed(counted, *shape)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(shape), where=total > 0)
    return (sums - share * sums.sum(axis=1, keepdims=True)) / len(returns), share


@dataclass(frozen=True, eq=False)
class InnerProblem:
    """A softmax learner on given episodes, for one phi and one discount.

    Attributes:
        tables: of the parts, (m, S, A, S); 0 in terminal states.
        data: the episodes.
        phi: weights of the parts, (m,).
        gamma: the discount of the learner.
        decay: of theta, above 0.
    """

    tables: Array
    data: Played
    phi: Array
    gamma: float
    decay: float

    @cached_property
    def returns(self) -> Array:
        """G, (E, T)."""
        return returns_of(self.data.look_up(np.tensordot(self.phi, self.tables, 1)), self.gamma)

    @cached_property
    def _advantages(self) -> tuple[Array, Array]:
        return advantages(self.data, self.returns, self.tables.shape[1:3])

    @cached_property
    def weights(self) -> Array:
        """W, (S, A)."""
        return np.maximum(self._advantages[0], 0.0)

    @cached_property
    def step(self) -> float:
        """1 / a bound on max|eig(H)|: diag(pi) - pi pi^T has none above 1/2."""
        return 1.0 / (0.5 * float(self.weights.sum(axis=1).max()) + self.decay)

    def solve(self, theta: Array, steps: int) -> Array:
        """Ascend from ``theta``; return all iterates, (steps + 1, S, A)."""
        path = np.empty((steps + 1, *theta.shape))
        path[0] = theta
        _ascend(self.weights, self.decay, self.step, path)
        return path

    def hessian_product(self, policy: Array, x: Array) -> Array:
        """H x where the learner acts by ``policy``, (S, A)."""
        return -self.weights.sum(axis=1, keepdims=True) * policy * _centred(x, policy) - self.decay * x

    def pull_back(self, by_weights: Array) -> tuple[Array, float]:
        """Derivatives by phi (m,) and by gamma of sum_{s,a} c[s, a] W[s, a], c = ``by_weights`` (S, A)."""
        raw, share = self._advantages
        c = _centred(np.where(raw > 0, by_weights, 0.0), share) / len(self.returns)
        by_return = discounted(c[self.data.states[:, :-1], self.data.actions], self.gamma)
        by_transition = self.data.summed(by_return, *self.tables.shape[1:])
        return np.tensordot(self.tables, by_transition, 3), float(
            (by_return[:, :-1] * self.returns[:, 1:]).sum()
        )


class BlendGradient(NamedTuple):
    """dJ/dphi (m,) and dJ/dgamma, and the series they come from, whose verdict says whether a step may be made."""

    by_phi: Array
    by_gamma: float
    series: Neumann


def hyper_gradient(
    problem: InnerProblem, path: Array, by_theta: Array, terms: int, kind: Gradient = "implicit"
) -> BlendGradient:
    """How the outer objective changes with the blend, through the learner.

    "implicit": -(dJ/dtheta)^T H^{-1} A at the last iterate, by ``terms`` terms of the Neumann series. "unrolled": backward through
    the last ascent steps of ``path``, with everything before them held fixed. At the optimum both are the same sum.

    Args:
        problem: the inner problem.
        path: iterates of its ascent, the final one last, (R, S, A); "unrolled" needs ``terms`` + 1 of them.
        by_theta: dJ/dtheta of the task return at the TRUE discount, (S, A).
        terms: K.
        kind: see above.
    """
    if kind == "implicit":
        policy = softmax(path[-1])
        series = neumann(partial(problem.hessian_product, policy), by_theta, step=problem.step, terms=terms)
        by_weights = _centred(series.solution, policy)
    else:
        cotangent, by_weights, norms = by_theta, np.zeros_like(by_theta), [norm(by_theta)]
        for policy in map(softmax, path[-2 : -terms - 2 : -1]):
            by_weights += problem.step * _centred(cotangent, policy)
            cotangent = cotangent + problem.step * problem.hessian_product(policy, cotangent)
            norms.append(norm(cotangent))
        series = Neumann(by_weights, tuple(norms), judge(norms))
    return BlendGradient(*problem.pull_back(by_weights), series)


def _centred(u: Array, policy: Array) -> Array:
    """u[s, a] - policy[s] . u[s]."""
    return u - (policy * u).sum(axis=1, keepdims=True)


class Trained(NamedTuple):
    """What happened, by outer step; N of them.

    Attributes:
        returns: exact expected task return of the learner's policy, at the true discount, (N,). Nothing learns from it.
        steps: environment steps so far, (N,) int64.
        phis: the weights before the first and after each outer step, (N + 1, m).
        gammas: the learner's discount, as the weights, (N + 1,).
        rejections: outer steps that were not made, because the series could not be trusted.
    """

    returns: Array
    steps: NDArray[np.int64]
    phis: Array
    gammas: Array
    rejections: int


def train(
    task: FiniteTask,
    tables: Array,
    phi: Array,
    seed: int,
    *,
    learns: bool = True,
    steps: int = STEPS,
    decay: float = DECAY,
    gradient: Gradient = "implicit",
    terms: int = TERMS,
) -> Trained:
    """Train a softmax policy on a blended reward, from the weights ``phi`` (m,) of its parts (m, S, A, S).

    Without ``learns`` it is the plain learner: the same data, the same number of steps, weights and discount that stay.
    """
    rng = np.random.default_rng(seed)
    _, task_table = task.tables()
    theta = np.zeros((task.n_states, task.n_actions))
    data = play(task, softmax(theta), _WARM_UP, rng)
    made = _steps(task, data)
    weights = torch.tensor(phi, dtype=torch.float64)
    varphi = torch.tensor(special.logit(INNER_GAMMA), dtype=torch.float64)
    adam = torch.optim.Adam([weights, varphi], lr=_RATE, maximize=True)
    returns, so_far, phis, gammas = [], [made], [phi], [float(varphi.sigmoid())]
    rejections = 0
    while made < steps:
        gamma = float(varphi.sigmoid())
        problem = InnerProblem(tables, data, weights.numpy(), gamma, decay)
        path = problem.solve(_RESTART * theta, INNER_STEPS)
        theta = path[-1]
        fresh = play(task, softmax(theta), _FRESH, rng)
        if learns:
            by_theta = estimated_return_gradient(fresh, fresh.look_up(task_table), theta)
            found = hyper_gradient(problem, path, by_theta, terms, gradient)
            rejections += not found.series.verdict.usable
            if (
                found.series.verdict.usable and by_theta.any()
            ):  # else Adam would coast on the gradients before
                weights.grad = torch.from_numpy(found.by_phi)
                varphi.grad = torch.tensor(found.by_gamma * gamma * (1 - gamma), dtype=torch.float64)
                adam.step()
        data = Played(*(np.concatenate(both)[-CAPACITY:] for both in zip(data, fresh, strict=True)))
        made += _steps(task, fresh)
        returns.append(policy_return(task, softmax(theta), GAMMA))
        so_far.append(made)
        phis.append(weights.numpy().copy())
        gammas.append(float(varphi.sigmoid()))
    return Trained(np.array(returns), np.array(so_far[1:]), np.array(phis), np.array(gammas), rejections)


def _steps(task: FiniteTask, data: Played) -> int:
    """How many were made before the episodes ended."""
    return int((~task.terminal[data.states[:, :-1]]).sum())


def estimated_return_gradient(data: Played, rewards: Array, theta: Array, gamma: float = GAMMA) -> Array:
    """dJ/dtheta (S, A) from episodes of the policy itself: mean_D sum_t gamma^t psi(s_t, a_t) (G_t - mean of s_t).

    Args:
        data: episodes of softmax(theta).
        rewards: task reward at every step, (E, T).
        theta: (S, A).
        gamma: the TRUE discount.
    """
    summed, _ = advantages(data, returns_of(rewards, gamma), theta.shape, gamma)
    return summed - summed.sum(axis=1, keepdims=True) * softmax(theta)


def return_gradient(task: FiniteTask, theta: Array, gamma: float = GAMMA) -> Array:
    """dJ/dtheta (S, A), exact within the time limit: sum_t gamma^t d_t(s) pi(a | s) (Q_t(s, a) - V_t(s))."""
    transition, table = task.tables()
    reward = (transition * table).sum(axis=2)
    policy = softmax(theta)
    actions, value = [], np.zeros(task.n_states)
    for _ in range(task.max_steps):
        actions.append(reward + gamma * transition @ value)
        value = (policy * actions[-1]).sum(axis=1)
    gradient, visits = np.zeros_like(theta), task.start
    for q in reversed(actions):
        gradient += visits[:, None] * policy * _centred(q, policy)
        visits = gamma * np.einsum("s,sa,sat->t", visits, policy, transition)
    return gradient
