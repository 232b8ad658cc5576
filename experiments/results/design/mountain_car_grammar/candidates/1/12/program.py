MEMORY = {"any_goal_position": 0.0, "best_goal_position": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_position_then = memory.best_goal_position if memory.any_goal_position > 0.0 else before.position
    memory.best_goal_position = max(best_goal_position_then, after.position)
    memory.any_goal_position = 1.0
    goal_position_record = 0.442 * (memory.best_goal_position - best_goal_position_then)
    return goal_position_record, {"goal_position_record": goal_position_record}
