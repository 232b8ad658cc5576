MEMORY = {"seen_carrying": 0.0, "seen_has_key": 0.0, "seen_has_key_2": 0.0, "seen_front": 0.0}


def compute_reward(before, after, action, memory):
    seen_carrying_then = memory.seen_carrying
    memory.seen_carrying = 1.0 if after.front == 5 else memory.seen_carrying
    carrying_first = 0.218 * (memory.seen_carrying - seen_carrying_then)
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = -(0.235 * (memory.seen_has_key - seen_has_key_then))
    seen_has_key_then_2 = memory.seen_has_key_2
    memory.seen_has_key_2 = 1.0 if after.has_key else memory.seen_has_key_2
    has_key_first_2 = 1.0 * (memory.seen_has_key_2 - seen_has_key_then_2)
    seen_front_then = memory.seen_front
    memory.seen_front = 1.0 if after.front == 4 else memory.seen_front
    front_first = 0.28 * (memory.seen_front - seen_front_then) if after.agent_dir == 0 else 0.0
    return carrying_first + has_key_first + has_key_first_2 + front_first, {"carrying_first": carrying_first, "has_key_first": has_key_first, "has_key_first_2": has_key_first_2, "front_first": front_first}
