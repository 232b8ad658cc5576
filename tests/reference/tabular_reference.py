"""Plain transcriptions of the finite tasks and of dynamic programming, with dictionaries and loops.

A task is a function (position, action) -> list of (probability, next position, reward, terminal); positions are what the
sources use (cells, places, digits), not state numbers.
"""

MASK = 2**64 - 1


def splitmix64(state, count):
    """Steele, Lea and Flood (2014), figure 17, in Python integers: (new state, uniforms in [0, 1))."""
    uniforms = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z = z ^ (z >> 31)
        uniforms.append((z >> 11) / 2**53)
    return state, uniforms


def corridor(length, setback, slip):
    def step(cell, action):
        ahead, back = cell + 1, max(cell - setback, 0)
        outcomes = []
        for move, target in ((1, ahead), (0, back)):
            p = 1 - slip if move == action else slip
            outcomes.append((p, target, 1.0 if target == length - 1 else 0.0, target == length - 1))
        return outcomes

    return step


def deep_sea(size, goes_right, stochastic):
    """`goes_right(row, column, action)` decodes the action."""

    def step(position, action):
        row, column = position
        if not goes_right(row, column, action):
            left = column - 1 if column > 0 else 0
            return [(1.0, (row + 1, left), 0.0, row + 1 == size)]
        reward = -0.01 / size
        if row == size - 1 and column == size - 1:
            reward += 1.0
        right = column + 1 if column < size - 1 else column
        p = 1 - 1 / size if stochastic else 1.0
        outcomes = [(p, (row + 1, right), reward, row + 1 == size)]
        if stochastic:
            outcomes.append((1 - p, (row + 1, column), reward, row + 1 == size))
        return outcomes

    return step


def river_swim(length):
    def step(place, action):
        if action == 0:
            return [(1.0, max(place - 1, 0), 5 / 10_000 if place == 0 else 0.0, False)]
        if place == 0:
            return [(0.7, 0, 0.0, False), (0.3, 1, 0.0, False)]
        if place == length - 1:
            return [(0.7, place - 1, 0.0, False), (0.3, place, 10_000 / 10_000, False)]
        return [(0.1, place - 1, 0.0, False), (0.6, place, 0.0, False), (0.3, place + 1, 0.0, False)]

    return step


def combination_lock(code, jams):
    def step(digits, action):
        if action == code[digits]:
            opens = digits + 1 == len(code)
            return [(1.0, digits + 1, 1.0 if opens else 0.0, opens)]
        return [(1.0, len(code) + 1, 0.0, True)] if jams else [(1.0, 0, 0.0, False)]

    return step


# Sutton, Precup and Singh (1999), figure 2, without the outer wall.
FOUR_ROOMS = (
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
    ".....#.....",
    "#.####.....",
    ".....###.##",
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
)

MOVES = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}


def four_rooms(lines, goal, slip):
    def free(row, column):
        return 0 <= row < len(lines) and 0 <= column < len(lines) and lines[row][column] != "#"

    def step(position, action):
        outcomes = []
        for move, (down, right) in MOVES.items():
            target = (position[0] + down, position[1] + right)
            if not free(*target):
                target = position
            p = 1 - slip if move == action else slip / 3
            if p > 0:
                outcomes.append((p, target, 1.0 if target == goal else 0.0, target == goal))
        return outcomes

    return step


def key_door(size, key, door, goal):
    """A position is (row, column, has key, door open)."""

    def step(position, action):
        row, column, has_key, is_open = position
        if action == 4:
            if (row, column) == key and not has_key:
                has_key = True
            elif has_key and not is_open and (row, column + 1) == door:
                is_open = True
            return [(1.0, (row, column, has_key, is_open), 0.0, False)]
        down, right = MOVES[action]
        target = (row + down, column + right)
        inside = 0 <= target[0] < size and 0 <= target[1] < size
        blocked = not inside or (target[1] == door[1] and (target != door or not is_open))
        if blocked:
            target = (row, column)
        done = target == goal
        return [(1.0, (*target, has_key, is_open), 1.0 if done else 0.0, done)]

    return step


def optimal_value(step, actions, position, horizon, memory):
    """Highest expected undiscounted return of `horizon` more steps, by recursion."""
    if horizon == 0:
        return 0.0
    if (position, horizon) not in memory:
        best = -1e300
        for action in actions:
            total = 0.0
            for p, target, reward, terminal in step(position, action):
                rest = 0.0 if terminal else optimal_value(step, actions, target, horizon - 1, memory)
                total += p * (reward + rest)
            best = max(best, total)
        memory[position, horizon] = best
    return memory[position, horizon]


def value_iteration(P, r, gamma, sweeps):
    """Q after `sweeps` sweeps of Bellman's optimality operator, in loops; r (S, A)."""
    states, actions = len(P), len(P[0])
    value = [0.0] * states
    for _ in range(sweeps):
        q = [
            [r[s][a] + gamma * sum(P[s][a][t] * value[t] for t in range(states)) for a in range(actions)]
            for s in range(states)
        ]
        value = [max(row) for row in q]
    return q


def open_grid(size):
    """A position is (row, column)."""

    def step(position, action):
        down, right = MOVES[action]
        row = min(max(position[0] + down, 0), size - 1)
        column = min(max(position[1] + right, 0), size - 1)
        done = row == column == size - 1
        return [(1.0, (row, column), 1.0 if done else 0.0, done)]

    return step
