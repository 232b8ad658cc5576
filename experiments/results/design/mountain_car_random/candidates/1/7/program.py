MEMORY = {"best_position": 0.0, "any_position": 0.0}


def compute_reward(before, after, action, memory):
    goal_position_change = 0.171 * (after.goal_position - before.goal_position)
    position_change = -0.099 * (after.position - before.position)
    best_position_then = memory.best_position if memory.any_position > 0.0 else before.position
    memory.best_position = max(best_position_then, after.position)
    memory.any_position = 1.0
    position_record = 0.125 * (memory.best_position - best_position_then) if after.position > 0.202 else 0.0
    return goal_position_change + position_change + position_record, {"goal_position_change": goal_position_change, "position_change": position_change, "position_record": position_record}
