MEMORY = {"any_doors_open": 0.0, "best_doors_open": 0.0}


def compute_reward(before, after, action, memory):
    was_any_doors_open = memory.any_doors_open
    was_best_doors_open = memory.best_doors_open
    memory.any_doors_open = 1.0
    memory.best_doors_open = max(was_best_doors_open if was_any_doors_open > 0 else before.doors_open, after.doors_open)
    doors_open_record = 0.0308 * (max(was_best_doors_open if was_any_doors_open > 0 else before.doors_open, after.doors_open) - (was_best_doors_open if was_any_doors_open > 0 else before.doors_open))
    return doors_open_record, {"doors_open_record": doors_open_record}
