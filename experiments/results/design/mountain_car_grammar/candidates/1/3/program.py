MEMORY = {"any_velocity": 0.0, "best_velocity": 0.0}


def compute_reward(before, after, action, memory):
    goal_position_square = -(0.00719 * (after.position * after.position))
    velocity_change = 2.37 * (after.velocity - before.velocity)
    best_velocity_then = memory.best_velocity if memory.any_velocity > 0.0 else before.velocity
    memory.best_velocity = max(best_velocity_then, after.velocity)
    memory.any_velocity = 1.0
    velocity_record = -(2.11 * (memory.best_velocity - best_velocity_then))
    goal_position_change = 0.16 * (after.position - before.position)
    return goal_position_square + velocity_change + velocity_record + goal_position_change, {"goal_position_square": goal_position_square, "velocity_change": velocity_change, "velocity_record": velocity_record, "goal_position_change": goal_position_change}
