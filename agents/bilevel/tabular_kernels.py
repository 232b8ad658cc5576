"""Kernels of tabular bi-level blending: play, blended returns, the softmax learner, and the derivatives of all of them.

S states, A actions, E episodes of at most T steps, M parts, m blend weights. Rows of episodes hold `lengths[e]` steps; what lies
behind is never read.
"""

from __future__ import annotations

import numpy as np

from shapegym.shaping.kernels._jit import jit


@jit
def softmax(theta: np.ndarray, policy: np.ndarray) -> None:
    """pi(a | s) = exp(theta[s, a]) / sum_b exp(theta[s, b]); both (S, A), policy is written."""
    states, actions = theta.shape
    for s in range(states):
        top = theta[s, 0]
        for a in range(1, actions):
            top = max(top, theta[s, a])
        total = 0.0
        for a in range(actions):
            policy[s, a] = np.exp(theta[s, a] - top)
            total += policy[s, a]
        for a in range(actions):
            policy[s, a] /= total


@jit
def direction(
    weights: np.ndarray, decay: float, theta: np.ndarray, policy: np.ndarray, out: np.ndarray
) -> None:
    """Delta[s, a] = W[s, a] - (sum_b W[s, b]) pi(a | s) - decay theta[s, a]; all (S, A), out is written."""
    states, actions = weights.shape
    for s in range(states):
        total = 0.0
        for a in range(actions):
            total += weights[s, a]
        for a in range(actions):
            out[s, a] = weights[s, a] - total * policy[s, a] - decay * theta[s, a]


@jit
def hessian_product(
    weights: np.ndarray, decay: float, policy: np.ndarray, x: np.ndarray, out: np.ndarray
) -> None:
    """(H x)[s, a] = -(sum_b W[s, b]) pi(a | s) (x[s, a] - pi(s) . x[s]) - decay x[s, a]; all (S, A), out is written."""
    states, actions = weights.shape
    for s in range(states):
        total, mean = 0.0, 0.0
        for a in range(actions):
            total += weights[s, a]
            mean += policy[s, a] * x[s, a]
        for a in range(actions):
            out[s, a] = -total * policy[s, a] * (x[s, a] - mean) - decay * x[s, a]


@jit
def ascend(
    weights: np.ndarray, decay: float, step: float, steps: int, theta: np.ndarray, path: np.ndarray
) -> None:
    """Theta <- theta + step Delta(theta), `steps` times, in place.

    Args:
        weights: W, (S, A).
        decay: of theta.
        step: length of a step.
        steps: how many.
        theta: (S, A), read and written.
        path: the last iterates, the final one included, (R, S, A) with 1 <= R <= steps + 1, written.
    """
    policy = np.empty_like(theta)
    change = np.empty_like(theta)
    ahead = steps + 1 - path.shape[0]
    for k in range(steps):
        if k >= ahead:
            path[k - ahead] = theta
        softmax(theta, policy)
        direction(weights, decay, theta, policy, change)
        for s in range(theta.shape[0]):
            for a in range(theta.shape[1]):
                theta[s, a] += step * change[s, a]
    path[steps - ahead] = theta


@jit
def play(
    policy: np.ndarray,
    next_state: np.ndarray,
    cumulative: np.ndarray,
    terminal: np.ndarray,
    start_cumulative: np.ndarray,
    noise: np.ndarray,
    states: np.ndarray,
    actions: np.ndarray,
    lengths: np.ndarray,
) -> None:
    """Play E episodes of a finite task.

    Args:
        policy: (S, A).
        next_state: (S, A, K) int64.
        cumulative: CDF over the branches, (S, A, K), ending at 1.
        terminal: (S,) bool.
        start_cumulative: CDF of s_0, (S,).
        noise: uniform in [0, 1), (E, T + 1, 2).
        states: s_0 .. s_T, (E, T + 1) int64, written.
        actions: a_0 .. a_{T-1}, (E, T) int64, written.
        lengths: (E,) int64, written.
    """
    episodes, horizon = actions.shape
    last = policy.shape[1] - 1
    for e in range(episodes):
        s = 0
        while noise[e, horizon, 0] >= start_cumulative[s]:
            s += 1
        states[e, 0] = s
        t = 0
        while t < horizon and not terminal[s]:
            a, below = 0, policy[s, 0]
            while a < last and noise[e, t, 0] >= below:
                a += 1
                below += policy[s, a]
            k = 0
            while noise[e, t, 1] >= cumulative[s, a, k]:
                k += 1
            actions[e, t] = a
            s = next_state[s, a, k]
            t += 1
            states[e, t] = s
        lengths[e] = t


@jit
def blend_rewards(
    phi: np.ndarray,
    cells: np.ndarray,
    states: np.ndarray,
    actions: np.ndarray,
    lengths: np.ndarray,
    parts: np.ndarray,
    rewards: np.ndarray,
) -> None:
    """r_phi at every step: sum_i phi[cells[i, s_t, a_t]] part_i[t].

    Args:
        phi: (m,).
        cells: which weight a part has in (s, a), (M, S, A) int64.
        states: (E, T + 1) int64.
        actions: (E, T) int64.
        lengths: (E,) int64.
        parts: (M, E, T).
        rewards: (E, T), written.
    """
    for e in range(actions.shape[0]):
        for t in range(lengths[e]):
            total = 0.0
            for i in range(parts.shape[0]):
                total += phi[cells[i, states[e, t], actions[e, t]]] * parts[i, e, t]
            rewards[e, t] = total


@jit
def sum_returns(
    states: np.ndarray,
    actions: np.ndarray,
    lengths: np.ndarray,
    rewards: np.ndarray,
    gamma: float,
    damping: float,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """sums[s, a] = sum of damping^t G_t over the steps in (s, a), G_t = r_t + gamma G_{t+1}; counts: of damping^t.

    Args:
        states: (E, T + 1) int64.
        actions: (E, T) int64.
        lengths: (E,) int64.
        rewards: (E, T).
        gamma: discount of the returns.
        damping: 1 for REINFORCE as it is practised, gamma for the gradient of the discounted return.
        sums: (S, A), written.
        counts: (S, A), written.
    """
    sums[:] = 0.0
    counts[:] = 0.0
    for e in range(actions.shape[0]):
        returned = 0.0
        for t in range(lengths[e] - 1, -1, -1):
            returned = rewards[e, t] + gamma * returned
            share = damping**t
            sums[states[e, t], actions[e, t]] += share * returned
            counts[states[e, t], actions[e, t]] += share


@jit
def pull_back_returns(
    cotangent: np.ndarray,
    cells: np.ndarray,
    states: np.ndarray,
    actions: np.ndarray,
    lengths: np.ndarray,
    parts: np.ndarray,
    rewards: np.ndarray,
    gamma: float,
    by_phi: np.ndarray,
) -> float:
    """Derivatives of L = sum_t c[s_t, a_t] G_t by the blend weights and by the discount.

    By phi: sum_j e_j part_i[j] with the trace e_j = c_j + gamma e_{j-1}.
    By gamma: sum_t c_t D_t with D_t = G_{t+1} + gamma D_{t+1}.

    Args:
        cotangent: c, (S, A).
        cells: (M, S, A) int64.
        states: (E, T + 1) int64.
        actions: (E, T) int64.
        lengths: (E,) int64.
        parts: (M, E, T).
        rewards: r_phi, (E, T).
        gamma: discount of the returns.
        by_phi: (m,), written.

    Returns:
        dL / dgamma.
    """
    by_phi[:] = 0.0
    by_gamma = 0.0
    for e in range(actions.shape[0]):
        trace = 0.0
        for t in range(lengths[e]):
            s, a = states[e, t], actions[e, t]
            trace = cotangent[s, a] + gamma * trace
            for i in range(parts.shape[0]):
                by_phi[cells[i, s, a]] += trace * parts[i, e, t]
        returned, slope = 0.0, 0.0
        for t in range(lengths[e] - 1, -1, -1):
            slope = returned + gamma * slope
            returned = rewards[e, t] + gamma * returned
            by_gamma += cotangent[states[e, t], actions[e, t]] * slope
    return by_gamma
