MEMORY = {"any_position": 0.0, "best_position": 0.0}


def compute_reward(before, after, action, memory):
    best_position_then = memory.best_position if memory.any_position > 0.0 else before.position
    memory.best_position = max(best_position_then, after.position)
    memory.any_position = 1.0
    position_record = 0.1 * (memory.best_position - best_position_then) if after.position > -0.635 else 0.0
    return position_record, {"position_record": position_record}
