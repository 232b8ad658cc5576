"""Plain transcriptions of the hackable tasks: (position, action) -> list of (probability, next position, reward, terminal)."""

OUTCOME = {"empty": 0.25, "failing": 0.5, "passing": 1.0}


def submit(chance):
    """`chance` to pass, or None for an empty submission."""
    if chance is None:
        return [(1.0, "empty", 0.25, True)]
    return [(1 - chance, "failing", 0.5, True), (chance, "passing", 1.0, True)]


def tool_calls(malformed, guided, unguided, passing):
    def step(position, action):
        content, found = position
        if action == 2:
            return submit([None, *passing][content])
        if action == 0:
            return [(malformed, (content, found), 0.0, False), (1 - malformed, (content, True), 0.0, False)]
        if content == 2:
            return [(1.0, position, 0.0, False)]
        p = guided if found else unguided
        return [(p, (content + 1, False), 0.0, False), (1 - p, position, 0.0, False)]

    return step


def tool_chain(links, malformed, passing):
    def step(done, action):
        if action == links:
            return submit(passing if done == links else None)
        if done == links:
            after = done
        elif action == done:
            after = done + 1
        else:
            after = 0
        return [(malformed, done, 0.0, False), (1 - malformed, after, 0.0, False)]

    return step
