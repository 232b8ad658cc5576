MEMORY = {"seen_has_key_2": 0.0}


def compute_reward(before, after, action, memory):
    seen_has_key_then_2 = memory.seen_has_key_2
    memory.seen_has_key_2 = 1.0 if after.has_key else memory.seen_has_key_2
    has_key_first_2 = 1.0 * (memory.seen_has_key_2 - seen_has_key_then_2)
    doors_open_change = 0.138 * (after.doors_open - before.doors_open)
    return has_key_first_2 + doors_open_change, {"has_key_first_2": has_key_first_2, "doors_open_change": doors_open_change}
