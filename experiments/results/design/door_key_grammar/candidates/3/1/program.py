MEMORY = {"any_key_pos_1": 0.0, "best_key_pos_1": 0.0, "any_doors_open": 0.0, "best_doors_open": 0.0}


def compute_reward(before, after, action, memory):
    best_key_pos_1_then = memory.best_key_pos_1 if memory.any_key_pos_1 > 0.0 else before.key_pos[1]
    memory.best_key_pos_1 = min(best_key_pos_1_then, after.key_pos[1])
    memory.any_key_pos_1 = 1.0
    key_pos_1_record = 0.00839 * (best_key_pos_1_then - memory.best_key_pos_1) if after.carrying == 5 else 0.0
    best_doors_open_then = memory.best_doors_open if memory.any_doors_open > 0.0 else before.doors_open
    memory.best_doors_open = max(best_doors_open_then, after.doors_open)
    memory.any_doors_open = 1.0
    doors_open_record = 0.0194 * (memory.best_doors_open - best_doors_open_then)
    return key_pos_1_record + doors_open_record, {"key_pos_1_record": key_pos_1_record, "doors_open_record": doors_open_record}
