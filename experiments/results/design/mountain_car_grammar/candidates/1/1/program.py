MEMORY = {"best_height": 0.0, "any_height": 0.0}


def compute_reward(before, after, action, memory):
    goal_position_nearer = 0.28 * (abs(before.position - 0.6) - abs(after.position - 0.6))
    best_height_then = memory.best_height if memory.any_height > 0.0 else before.height
    memory.best_height = max(best_height_then, after.height)
    memory.any_height = 1.0
    height_record = 0.862 * (memory.best_height - best_height_then)
    return goal_position_nearer + height_record, {"goal_position_nearer": goal_position_nearer, "height_record": height_record}
