MEMORY = {"any_doors_open": 0.0, "best_doors_open": 0.0}


def compute_reward(before, after, action, memory):
    carrying_holds = -0.0333 if after.carrying == 1 else 0.0
    has_key_holds = -0.00334 if after.has_key else 0.0
    best_doors_open_then = memory.best_doors_open if memory.any_doors_open > 0.0 else before.doors_open
    memory.best_doors_open = max(best_doors_open_then, after.doors_open)
    memory.any_doors_open = 1.0
    doors_open_record = 0.0194 * (memory.best_doors_open - best_doors_open_then)
    return carrying_holds + has_key_holds + doors_open_record, {"carrying_holds": carrying_holds, "has_key_holds": has_key_holds, "doors_open_record": doors_open_record}
