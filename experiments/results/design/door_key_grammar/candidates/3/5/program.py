MEMORY = {"seen_carrying": 0.0}


def compute_reward(before, after, action, memory):
    seen_carrying_then = memory.seen_carrying
    memory.seen_carrying = 1.0 if after.carrying == 5 else memory.seen_carrying
    carrying_first = 0.0635 * (memory.seen_carrying - seen_carrying_then)
    doors_open_far = -0.000957 * abs(after.doors_open - 18.3)
    return carrying_first + doors_open_far, {"carrying_first": carrying_first, "doors_open_far": doors_open_far}
