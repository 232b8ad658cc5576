MEMORY = {"best_goal_position": 0.0, "any_goal_position": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_position_then = memory.best_goal_position if memory.any_goal_position > 0.0 else before.goal_position
    memory.best_goal_position = min(best_goal_position_then, after.goal_position)
    memory.any_goal_position = 1.0
    goal_position_record = 0.0654 * (best_goal_position_then - memory.best_goal_position)
    position = 0.0148 * after.position if after.velocity < 0.0169 else 0.0
    velocity = 0.0413 * after.velocity
    return goal_position_record + position + velocity, {"goal_position_record": goal_position_record, "position": position, "velocity": velocity}
