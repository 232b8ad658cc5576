"""Exact solutions of finite tasks: what is optimal, what a policy is worth, where it spends its time.

Dense tables are P (S, A, S) with P[s, a, s'] = P(s' | s, a) and R, (S, A) or (S, A, S), as
`FiniteTask.tables` makes them. Terminal states are absorbing and pay nothing; the argument `terminal` marks
them. A policy is (S, A) probabilities, or (S,) actions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.envs._jit import jit
from shapegym.envs.finite_task import FiniteTask

Array = NDArray[np.float64]


@jit
def backup(
    next_state: NDArray[np.int64], probability: Array, reward: Array, gamma: float, value: Array, q: Array
) -> None:
    """q(s, a) = r(s, a) + gamma * sum_k p(k | s, a) * value(next_state(s, a, k)).

    Args:
        next_state: (S, A, K) int64.
        probability: (S, A, K).
        reward: (S, A), expected.
        gamma: Discount.
        value: (S,).
        q: (S, A), written.
    """
    states, actions, branches = next_state.shape
    for s in range(states):
        for a in range(actions):
            expected = 0.0
            for k in range(branches):
                expected += probability[s, a, k] * value[next_state[s, a, k]]
            q[s, a] = reward[s, a] + gamma * expected


def value_iteration(
    P: Array, R: Array, gamma: float, terminal: NDArray[np.bool_] | None = None, tolerance: float = 1e-10
) -> tuple[Array, Array]:
    """Optimal values V* (S,) and Q* (S, A), each within `tolerance` of the truth.

    Stops when ||V_{k+1} - V_k|| <= tolerance (1 - gamma) / (2 gamma) (Puterman 1994, section 6.3). With gamma
    = 1, episodes must have a bounded length, and the result is exact after as many sweeps.

    Args:
        P: (S, A, S).
        R: (S, A) or (S, A, S).
        gamma: Discount in [0, 1].
        terminal: (S,) bool; None = no terminal states.
        tolerance: Sup-norm error, positive.

    Raises:
        ValueError: The tables do not fit; gamma = 1 although a state can be visited twice in an episode; or
            `tolerance` is below what float64 resolves.
    """
    P, r, ends = _checked(P, R, gamma, terminal)
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    if gamma == 1 and (recurrent := _recurrent(P, ends)).size:
        raise ValueError(
            f"gamma = 1 needs episodes of bounded length, but states {recurrent[:5].tolist()}"
            f"{' ...' if recurrent.size > 5 else ''} need not be left for good; "
            "take gamma < 1, or optimal_return for a task with a time limit"
        )
    threshold = 0.0 if gamma == 1 else tolerance * (1 - gamma) / (2 * gamma) if gamma else math.inf
    sweeps = len(r) + 1 if gamma == 1 else _sweeps_needed(float(np.abs(r).max()), gamma, threshold)
    lists = _successors(P)
    value, q, change = np.zeros(len(r)), np.zeros_like(r), math.inf
    for _ in range(sweeps):
        backup(*lists, r, gamma, value, q)
        improved = q.max(axis=1)
        change = float(np.abs(improved - value).max())
        value = improved
        if change <= threshold:
            break
    # A sweep rounds by about eps |V|, and the sweeps after it sum such errors to a multiple of 1 / (1 - gamma).
    resolution = np.finfo(np.float64).eps * float(np.abs(value).max()) / (1 - gamma) if gamma < 1 else 0.0
    if change > threshold or resolution > tolerance:
        raise ValueError(
            f"tolerance {tolerance} is below what float64 resolves at gamma = {gamma}: about {resolution:.0e}"
        )
    backup(*lists, r, gamma, value, q)
    return q.max(axis=1), q


def policy_evaluation(
    P: Array, R: Array, policy: NDArray[Any], gamma: float, terminal: NDArray[np.bool_] | None = None
) -> Array:
    """V^pi (S,), the solution of V = r_pi + gamma P_pi V with V = 0 in terminal states.

    Raises:
        ValueError: The tables or the policy do not fit, or gamma = 1 and the policy need not end from some
            state.
    """
    P, r, ends = _checked(P, R, gamma, terminal)
    pi = _policy(policy, r.shape)
    p_pi = np.einsum("sa,sat->st", pi, P)
    if gamma == 1:
        endless = np.flatnonzero(~_reaches(p_pi, ends))
        if endless.size:
            raise ValueError(f"gamma = 1: from states {endless[:5].tolist()} the policy never ends")
    value, inner = np.zeros(len(r)), np.flatnonzero(~ends)
    system = np.eye(inner.size) - gamma * p_pi[np.ix_(inner, inner)]
    value[inner] = np.linalg.solve(system, (pi * r).sum(axis=1)[inner])
    return value


def optimal_actions(Q: Array, tolerance: float = 1e-9) -> NDArray[np.bool_]:
    """The set of optimal actions (S, A): Q(s, a) >= max_b Q(s, b) - tolerance."""
    best = Q.max(axis=1, keepdims=True)
    return best - Q <= tolerance


def occupancy(P: Array, policy: NDArray[Any], start: Array, gamma: float) -> Array:
    """Discounted state occupancy d (S,): d(s) = sum_{t>=0} gamma^t Pr(s_t = s); it sums to 1 / (1 - gamma).

    Terminal states keep their mass, as they are absorbing; (1 - gamma) d is the normalised form.

    Raises:
        ValueError: The tables, the policy or the start distribution do not fit, or gamma is not in [0, 1).
    """
    P, r, _ = _checked(P, np.zeros(P.shape[:2]), gamma, None)
    if gamma == 1:
        raise ValueError("the occupancy is infinite at gamma = 1")
    if start.shape != (len(P),) or (start < 0).any() or not math.isclose(start.sum(), 1.0):
        raise ValueError(f"start must be a distribution over {len(P)} states")
    p_pi = np.einsum("sa,sat->st", _policy(policy, r.shape), P)
    return np.linalg.solve(np.eye(len(P)) - gamma * p_pi.T, start)


def optimal_return(task: FiniteTask, gamma: float = 1.0) -> float:
    """Highest expected return of an episode, within the task's time limit."""
    return _horizon_return(task, gamma, None)


def policy_return(task: FiniteTask, policy: NDArray[Any], gamma: float = 1.0) -> float:
    """Expected return of an episode under a policy, within the task's time limit.

    Raises:
        ValueError: The policy does not fit the task.
    """
    return _horizon_return(task, gamma, _policy(policy, (task.n_states, task.n_actions)))


def random_return(task: FiniteTask, gamma: float = 1.0) -> float:
    """`policy_return` of the uniformly random policy."""
    return policy_return(task, np.full((task.n_states, task.n_actions), 1 / task.n_actions), gamma)


def _horizon_return(task: FiniteTask, gamma: float, policy: Array | None) -> float:
    """Backward induction: V_H = 0, V_t = max_a Q_t, or sum_a pi Q_t, for t = H-1 .. 0."""
    reward = (task.probability * task.reward).sum(axis=2)
    lists = (
        task.next_state.copy(),
        task.probability.copy(),
    )  # writable, as Numba has a type for read-only arrays
    value, q = np.zeros(task.n_states), np.zeros_like(reward)
    for _ in range(task.max_steps):
        backup(*lists, reward, gamma, value, q)
        value = q.max(axis=1) if policy is None else (policy * q).sum(axis=1)
    return float(task.start @ value)


def _checked(
    P: Array, R: Array, gamma: float, terminal: NDArray[np.bool_] | None
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """P, expected rewards (S, A), and the terminal mask, made absorbing and without reward."""
    if P.ndim != 3 or P.shape[0] != P.shape[2]:
        raise ValueError(f"P must be (S, A, S), got shape {P.shape}")
    if (P < 0).any() or not np.allclose(P.sum(axis=2), 1.0, rtol=0, atol=1e-9):
        raise ValueError("every row P[s, a] must be non-negative and sum to 1")
    if R.shape not in {P.shape, P.shape[:2]}:
        raise ValueError(f"R must be {P.shape[:2]} or {P.shape}, got shape {R.shape}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must be in [0, 1], got {gamma}")
    ends = np.zeros(len(P), np.bool_) if terminal is None else terminal
    if ends.shape != (len(P),) or ends.dtype != np.bool_:
        raise ValueError(f"terminal must be ({len(P)},) bool, got {ends.dtype} of shape {ends.shape}")
    absorbing = np.where(ends[:, None, None], np.eye(len(P))[:, None, :], P)
    expected = (P * R).sum(axis=2) if R.ndim == 3 else R
    return absorbing, np.where(ends[:, None], 0.0, expected), ends


def _policy(policy: NDArray[Any], shape: tuple[int, ...]) -> Array:
    if policy.shape == shape[:1] and policy.dtype.kind in "iu":
        if policy.min() < 0 or policy.max() >= shape[1]:
            raise ValueError(f"a policy's actions must be in 0 .. {shape[1] - 1}")
        return np.eye(shape[1])[policy]
    if policy.shape != shape or (policy < 0).any() or not np.allclose(policy.sum(axis=1), 1.0):
        raise ValueError(f"a policy must be {shape} probabilities or {shape[:1]} actions, got {policy.shape}")
    return policy


def _successors(P: Array) -> tuple[NDArray[np.int64], Array]:
    """Successor lists (S, A, K) of a dense table: sparse tasks are swept K / S times as fast."""
    branches = int((P > 0).sum(axis=2).max())
    order = np.argsort(P == 0, axis=2, kind="stable")[:, :, :branches]
    return np.ascontiguousarray(order), np.take_along_axis(P, order, axis=2)


def _sweeps_needed(reward: float, gamma: float, threshold: float) -> int:
    """||V_{k+1} - V_k|| <= gamma^k max |r| falls below the threshold after this many sweeps."""
    if reward <= threshold:
        return 1
    return math.ceil(math.log(threshold / reward) / math.log(gamma)) + 2


def _recurrent(P: Array, ends: NDArray[np.bool_]) -> NDArray[np.int64]:
    """States that some policy can visit again, or that lead to such: peel off those whose successors all are off."""
    linked = P.max(axis=1) > 0
    left = ~ends
    while left.any() and (off := left & ~linked[:, left].any(axis=1)).any():
        left &= ~off
    return np.flatnonzero(left)


def _reaches(p_pi: Array, ends: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """States from which a terminal state can be reached."""
    reached = ends
    while (more := reached | (p_pi[:, reached] > 0).any(axis=1)).sum() > reached.sum():
        reached = more
    return reached
