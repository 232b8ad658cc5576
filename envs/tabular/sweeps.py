"""Fixed points over successor lists, swept from a guess: cheap where a policy changes little from one solution to the next.

`solver` solves a task once and exactly; methods that improve a policy step by step solve hundreds of nearly equal systems, and
start each from the last solution. All stop when the error is below a tolerance.
"""

from __future__ import annotations

import numpy as np

from shapegym.envs._jit import jit


@jit
def sweep_visits(
    next_state: np.ndarray,
    probability: np.ndarray,
    policy: np.ndarray,
    start: np.ndarray,
    gamma: float,
    tolerance: float,
    visits: np.ndarray,
) -> int:
    """mu(s) = (1 - gamma) start(s) + gamma sum_{s', a} mu(s') pi(a | s') P(s | s', a); returns the number of sweeps.

    Args:
        next_state: (S, A, K) int64.
        probability: (S, A, K).
        policy: (S, A).
        start: (S,).
        gamma: discount in [0, 1).
        tolerance: total error.
        visits: a guess of mu, then mu, (S,).
    """
    states, actions, branches = next_state.shape
    new = np.empty(states)
    sweeps = 0
    error = np.inf
    while error > tolerance and sweeps < 100_000:
        new[:] = (1.0 - gamma) * start
        for s in range(states):
            here = gamma * visits[s]
            if here == 0.0:
                continue
            for a in range(actions):
                mass = here * policy[s, a]
                for k in range(branches):
                    new[next_state[s, a, k]] += mass * probability[s, a, k]
        error = np.abs(new - visits).sum() * gamma / (1.0 - gamma)
        visits[:] = new
        sweeps += 1
    return sweeps


@jit
def sweep_values(
    next_state: np.ndarray,
    probability: np.ndarray,
    reward: np.ndarray,
    policy: np.ndarray,
    greedy: bool,
    gamma: float,
    tolerance: float,
    value: np.ndarray,
    q: np.ndarray,
) -> int:
    """Q = r + gamma P v with v(s) = max_a q(s, a) if ``greedy``, else sum_a pi(a | s) q(s, a); returns the number of sweeps.

    Terminal states are ordinary absorbing states here, paid as ``reward`` says.

    Args:
        next_state: (S, A, K) int64.
        probability: (S, A, K).
        reward: (S, A), expected.
        policy: (S, A); not read if ``greedy``.
        greedy: the optimal policy instead.
        gamma: discount in [0, 1).
        tolerance: largest error of v.
        value: a guess of v, then v, (S,).
        q: (S, A), written.
    """
    states, actions, branches = next_state.shape
    sweeps = 0
    error = np.inf
    while error > tolerance and sweeps < 100_000:
        error = 0.0
        for s in range(states):  # in place: a state sees the new values of those before it
            best = -np.inf
            mean = 0.0
            for a in range(actions):
                ahead = 0.0
                for k in range(branches):
                    ahead += probability[s, a, k] * value[next_state[s, a, k]]
                q[s, a] = reward[s, a] + gamma * ahead
                best = max(best, q[s, a])
                if not greedy:
                    mean += policy[s, a] * q[s, a]
            new = best if greedy else mean
            error = max(error, abs(new - value[s]))
            value[s] = new
        error *= gamma / (1.0 - gamma)
        sweeps += 1
    return sweeps
