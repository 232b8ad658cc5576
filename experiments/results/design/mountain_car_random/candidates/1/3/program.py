MEMORY = {"best_goal_position": 0.0, "any_goal_position": 0.0}


def compute_reward(before, after, action, memory):
    goal_position_square = 0.00218 * (after.goal_position * after.goal_position)
    best_goal_position_then = memory.best_goal_position if memory.any_goal_position > 0.0 else before.goal_position
    memory.best_goal_position = max(best_goal_position_then, after.goal_position)
    memory.any_goal_position = 1.0
    goal_position_record = 0.0794 * (memory.best_goal_position - best_goal_position_then) if after.position < 0.0799 else 0.0
    height_change = -0.125 * (after.height - before.height)
    goal_position_change = 0.189 * (after.goal_position - before.goal_position)
    return goal_position_square + goal_position_record + height_change + goal_position_change, {"goal_position_square": goal_position_square, "goal_position_record": goal_position_record, "height_change": height_change, "goal_position_change": goal_position_change}
