MEMORY = {"seen_carrying": 0.0}


def compute_reward(before, after, action, memory):
    seen_carrying_then = memory.seen_carrying
    memory.seen_carrying = 1.0 if after.carrying == 5 else memory.seen_carrying
    carrying_first = 0.262 * (memory.seen_carrying - seen_carrying_then)
    return carrying_first, {"carrying_first": carrying_first}
