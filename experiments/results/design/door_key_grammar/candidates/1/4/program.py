MEMORY = {"any_doors_open": 0.0, "best_doors_open": 0.0}


def compute_reward(before, after, action, memory):
    doors_locked_change = -0.0327 * (after.doors_locked - before.doors_locked)
    best_doors_open_then = memory.best_doors_open if memory.any_doors_open > 0.0 else before.doors_open
    memory.best_doors_open = max(best_doors_open_then, after.doors_open)
    memory.any_doors_open = 1.0
    doors_open_record = 0.00187 * (memory.best_doors_open - best_doors_open_then)
    return doors_locked_change + doors_open_record, {"doors_locked_change": doors_locked_change, "doors_open_record": doors_open_record}
