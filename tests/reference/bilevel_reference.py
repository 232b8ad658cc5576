"""Tabular BARFI in plain loops, from its formulas. Episodes are lists of (state, action, parts), parts a list of numbers."""

import math


def softmax(row):
    top = max(row)
    weights = [math.exp(x - top) for x in row]
    return [w / sum(weights) for w in weights]


def returns(rewards, gamma):
    """G_t = sum_{j >= t} gamma^(j - t) r_j, by the definition."""
    return [sum(gamma ** (j - t) * rewards[j] for j in range(t, len(rewards))) for t in range(len(rewards))]


def action_weights(episodes, weight_of, gamma, states, actions):
    """W[s][a] = max(0, mean over episodes of sum_t 1[s_t = s, a_t = a] (G_t - mean G of s))."""
    found = {}
    for episode in episodes:
        rewards = [sum(weight_of(i, s, a) * part for i, part in enumerate(parts)) for s, a, parts in episode]
        for (s, a, _), g in zip(episode, returns(rewards, gamma), strict=True):
            found.setdefault(s, []).append((a, g))
    table = [[0.0] * actions for _ in range(states)]
    for s, visits in found.items():
        mean = sum(g for _, g in visits) / len(visits)
        for a, g in visits:
            table[s][a] += (g - mean) / len(episodes)
    return [[max(0.0, w) for w in row] for row in table]


def direction(weights, theta, decay):
    """Sum over the log-likelihood gradients, one (s, a) at a time."""
    found = [[-decay * x for x in row] for row in theta]
    for s, row in enumerate(weights):
        policy = softmax(theta[s])
        for a, w in enumerate(row):
            for b in range(len(row)):
                found[s][b] += w * ((a == b) - policy[b])
    return found


def hessian(weights, theta, decay):
    """H[(s, a), (s, b)] as a dict, zero elsewhere."""
    found = {}
    for s, row in enumerate(weights):
        policy, total = softmax(theta[s]), sum(row)
        for a in range(len(row)):
            for b in range(len(row)):
                found[s, a, b] = -total * policy[a] * ((a == b) - policy[b]) - decay * (a == b)
    return found
