"""Loops by trying every deterministic policy, and gains by iterating values in plain loops."""

import itertools


def iterate(P, R, gamma, terminal, allowed, sweeps=4000):
    """Q of the best policy that takes allowed actions only, as nested lists."""
    states, actions = len(P), len(P[0])
    value = [0.0] * states
    q = [[0.0] * actions for _ in range(states)]
    for _ in range(sweeps):
        for s in range(states):
            for a in range(actions):
                q[s][a] = 0.0
                if not terminal[s]:
                    for t in range(states):
                        q[s][a] += P[s][a][t] * (R[s][a][t] + gamma * value[t] * (not terminal[t]))
        value = [max(q[s][a] for a in range(actions) if allowed[s][a]) for s in range(states)]
    return q


def gains(P, task, shaped, gamma, terminal):
    """g(s, a) and B(s)."""
    states, actions = len(P), len(P[0])
    everything = [[True] * actions for _ in range(states)]
    q = iterate(P, task, gamma, terminal, everything)
    optimal = [[q[s][a] >= max(q[s]) - 1e-7 for a in range(actions)] for s in range(states)]
    q = iterate(P, shaped, gamma, terminal, optimal)
    best = [max(q[s][a] for a in range(actions) if optimal[s][a]) for s in range(states)]
    gain = [[q[s][a] - best[s] for a in range(actions)] for s in range(states)]
    return gain, best


def reachable(P, start, terminal):
    """States that some policy visits."""
    seen = {s for s, p in enumerate(start) if p > 0}
    grown = True
    while grown:
        grown = False
        for s in list(seen):
            for row in P[s] if not terminal[s] else ():
                for t, p in enumerate(row):
                    if p > 0 and t not in seen:
                        seen.add(t)
                        grown = True
    return seen


def closed_classes(P, policy, terminal):
    """Sets of states that a policy never leaves and all of which it visits again and again."""
    states = range(len(P))
    reach = [{t for t in states if P[s][policy[s]][t] > 0} for s in states]
    for _ in states:
        for s in states:
            reach[s] = reach[s].union(*(reach[t] for t in reach[s]))
    found = []
    for s in states:
        if s in reach[s] and all(s in reach[t] for t in reach[s]) and not any(terminal[t] for t in reach[s]):
            found.append(frozenset(reach[s]))
    return set(found)


def average(P, policy, members, numbers, sweeps=20000):
    """Long-run mean of numbers(s, a) in a closed class, by following the distribution (half a step at a time: no cycles)."""
    states = sorted(members)
    mass = {s: 1.0 / len(states) for s in states}
    for _ in range(sweeps):
        moved = {s: 0.5 * mass[s] for s in states}
        for s in states:
            for t in states:
                moved[t] += 0.5 * mass[s] * P[s][policy[s]][t]
        if max(abs(moved[s] - mass[s]) for s in states) < 1e-14:
            break
        mass = moved
    return sum(mass[s] * numbers[s][policy[s]] for s in states)


def best_loop(P, numbers, start, terminal):
    """The highest mean of numbers(s, a) over the loops of deterministic policies that can be reached; None without loops."""
    live = reachable(P, start, terminal)
    best = None
    for policy in itertools.product(range(len(P[0])), repeat=len(P)):
        for members in closed_classes(P, policy, terminal):
            if members <= live:
                mean = average(P, policy, members, numbers)
                best = mean if best is None else max(best, mean)
    return best
