MEMORY = {"best_position": 0.0, "any_position": 0.0}


def compute_reward(before, after, action, memory):
    best_position_then = memory.best_position if memory.any_position > 0.0 else before.position
    memory.best_position = max(best_position_then, after.position)
    memory.any_position = 1.0
    position_record = 0.502 * (memory.best_position - best_position_then)
    return position_record, {"position_record": position_record}
