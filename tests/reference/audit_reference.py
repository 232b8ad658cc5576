"""Distances between rewards and what they bound, in plain loops from the papers' formulas; nothing of ours is imported."""

import itertools

import numpy as np
from scipy.optimize import linprog


def value(P, R, gamma, policy, terminal, sweeps=4000):
    """V^pi by repeated substitution."""
    S, A, _ = P.shape
    v = [0.0] * S
    for _ in range(sweeps):
        v = [
            0.0
            if terminal[s]
            else sum(
                policy[s][a] * P[s, a, t] * (R[s, a, t] + gamma * v[t]) for a in range(A) for t in range(S)
            )
            for s in range(S)
        ]
    return np.array(v)


def val(P, R, gamma, policy, terminal):
    """E[R - V(s) + gamma V(S')], (S, A)."""
    S, A, _ = P.shape
    v = value(P, R, gamma, policy, terminal)
    out = np.zeros((S, A))
    for s in range(S):
        for a in range(A):
            if not terminal[s]:
                out[s, a] = sum(P[s, a, t] * (R[s, a, t] - v[s] + gamma * v[t]) for t in range(S))
    return out


def minimal(P, R, gamma, weights, terminal):
    """The least norm over potentials and redistributions together, each a free vector, by one dense least squares.

    Unknowns: Phi of the states that are not terminal, and a redistribution h(s, a, s') with mean 0, written as h = B z.
    The residual is the canonical reward on transitions, returned as its table (S, A, S).
    """
    S, A, _ = P.shape
    triples = [
        (s, a, t) for s in range(S) for a in range(A) for t in range(S) if not terminal[s] and P[s, a, t] > 0
    ]
    columns = []
    for state in range(S):
        if terminal[state]:
            continue
        columns.append([gamma * (t == state) - (s == state) for s, a, t in triples])
    for s in range(S):
        for a in range(A):
            inside = [t for t in range(S) if not terminal[s] and P[s, a, t] > 0]
            for t in inside[1:]:  # up at t, down at the first successor, mean zero
                column = []
                for x, y, z in triples:
                    hit = (x, y) == (s, a)
                    column.append(hit * ((z == t) / P[s, a, t] - (z == inside[0]) / P[s, a, inside[0]]))
                columns.append(column)
    root = np.sqrt([weights[s, a] * P[s, a, t] for s, a, t in triples])
    design, target = np.array(columns, float).T, np.array([R[i] for i in triples])
    found = np.linalg.lstsq(root[:, None] * design, -root * target, rcond=None)[0]
    out = np.zeros_like(R)
    for i, residual in zip(triples, target + design @ found, strict=True):
        out[i] = residual
    return out


def epic(R, gamma):
    """EPIC with uniform states and actions."""
    S, A, _ = R.shape
    mean = [sum(R[s, a, t] for a in range(A) for t in range(S)) / (A * S) for s in range(S)]
    overall = sum(mean) / S
    out = np.zeros_like(R)
    for s, a, t in itertools.product(range(S), range(A), range(S)):
        out[s, a, t] = R[s, a, t] + gamma * mean[t] - mean[s] - gamma * overall
    return out


def dard(P, R, gamma):
    """DARD with uniform actions."""
    S, A, _ = R.shape
    out = np.zeros_like(R)
    for s, a, t in itertools.product(range(S), range(A), range(S)):
        total = 0.0
        for b in range(A):
            for u in range(S):
                total += gamma * P[t, b, u] * R[t, b, u] / A
                total -= P[s, b, u] * R[s, b, u] / A
                for w in range(S):
                    total -= gamma * P[s, b, u] * P[t, b, w] * R[u, b, w] / A
        out[s, a, t] = R[s, a, t] + total
    return out


def correlation_distance(first, second, coverage):
    """sqrt((1 - rho) / 2) with weights."""
    x, y, w = first.ravel(), second.ravel(), coverage.ravel() / coverage.sum()
    mx, my = (w * x).sum(), (w * y).sum()
    cov = (w * (x - mx) * (y - my)).sum()
    rho = cov / np.sqrt((w * (x - mx) ** 2).sum() * (w * (y - my) ** 2).sum())
    return np.sqrt((1 - rho) / 2)


def deterministic_policies(S, A):
    return [np.eye(A)[list(choice)] for choice in itertools.product(range(A), repeat=S)]


def returns(P, R, gamma, start, terminal):
    """The return of every deterministic policy, in the order of `deterministic_policies`."""
    S, A, _ = P.shape
    out = []
    for policy in deterministic_policies(S, A):
        p = np.einsum("sa,sat->st", policy, P)
        r = np.einsum("sa,sat,sat->s", policy, P, R)
        p[terminal], r[terminal] = 0.0, 0.0
        out.append(start @ np.linalg.solve(np.eye(S) - gamma * p, r))
    return np.array(out)


def optimal_values(P, R, gamma, terminal):
    """max over deterministic policies of V(s), state by state."""
    S, A, _ = P.shape
    values = []
    for policy in deterministic_policies(S, A):
        p = np.einsum("sa,sat->st", policy, P)
        r = np.einsum("sa,sat,sat->s", policy, P, R)
        p[terminal], r[terminal] = 0.0, 0.0
        values.append(np.linalg.solve(np.eye(S) - gamma * p, r))
    return np.array(values)


def worst_regret(P, R1, R2, gamma, start, terminal):
    """The most that J1 falls when J2 does not: a linear program over two occupancy measures."""
    S, A, _ = P.shape
    inner = [s for s in range(S) if not terminal[s]]
    index = {(s, a): i for i, (s, a) in enumerate(itertools.product(inner, range(A)))}
    n = len(index)
    flow, r1, r2 = np.zeros((len(inner), n)), np.zeros(n), np.zeros(n)
    for (s, a), i in index.items():
        r1[i], r2[i] = P[s, a] @ R1[s, a], P[s, a] @ R2[s, a]
        for row, state in enumerate(inner):
            flow[row, i] = (s == state) - gamma * P[s, a, state]
    begin = start[inner]
    zero = np.zeros_like(flow)
    found = linprog(
        -np.concatenate([r1, -r1]),
        A_ub=np.concatenate([r2, -r2])[None],
        b_ub=[0.0],
        A_eq=np.block([[flow, zero], [zero, flow]]),
        b_eq=np.concatenate([begin, begin]),
    )
    high = -linprog(-r1, A_eq=flow, b_eq=begin).fun
    low = linprog(r1, A_eq=flow, b_eq=begin).fun
    return -found.fun / (high - low)
