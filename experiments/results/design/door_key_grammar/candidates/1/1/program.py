MEMORY = {"any_key_pos_1": 0.0, "best_key_pos_1": 0.0}


def compute_reward(before, after, action, memory):
    best_key_pos_1_then = memory.best_key_pos_1 if memory.any_key_pos_1 > 0.0 else before.key_pos[1]
    memory.best_key_pos_1 = min(best_key_pos_1_then, after.key_pos[1])
    memory.any_key_pos_1 = 1.0
    key_pos_1_record = 0.0115 * (best_key_pos_1_then - memory.best_key_pos_1) if after.carrying == 5 else 0.0
    return key_pos_1_record, {"key_pos_1_record": key_pos_1_record}
