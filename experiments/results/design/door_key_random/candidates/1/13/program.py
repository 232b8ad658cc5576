MEMORY = {"seen_has_key": 0.0, "seen_front": 0.0}


def compute_reward(before, after, action, memory):
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.134 * (memory.seen_has_key - seen_has_key_then)
    seen_front_then = memory.seen_front
    memory.seen_front = 1.0 if after.front == 8 else memory.seen_front
    front_first = 0.593 * (memory.seen_front - seen_front_then) if after.key_pos[0] > 1.39 else 0.0
    return has_key_first + front_first, {"has_key_first": has_key_first, "front_first": front_first}
