MEMORY = {"any_key_pos_1": 0.0, "best_key_pos_1": 0.0, "seen_has_key": 0.0, "seen_front": 0.0}


def compute_reward(before, after, action, memory):
    best_key_pos_1_then = memory.best_key_pos_1 if memory.any_key_pos_1 > 0.0 else before.key_pos[1]
    memory.best_key_pos_1 = min(best_key_pos_1_then, after.key_pos[1])
    memory.any_key_pos_1 = 1.0
    key_pos_1_record = 0.00839 * (best_key_pos_1_then - memory.best_key_pos_1) if after.carrying == 5 else 0.0
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.324 * (memory.seen_has_key - seen_has_key_then)
    seen_front_then = memory.seen_front
    memory.seen_front = 1.0 if after.front == 4 else memory.seen_front
    front_first = 0.28 * (memory.seen_front - seen_front_then) if after.agent_dir == 0 else 0.0
    return key_pos_1_record + has_key_first + front_first, {"key_pos_1_record": key_pos_1_record, "has_key_first": has_key_first, "front_first": front_first}
