MEMORY = {"seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 1.25 * (memory.seen_has_key - seen_has_key_then)
    return has_key_first, {"has_key_first": has_key_first}
