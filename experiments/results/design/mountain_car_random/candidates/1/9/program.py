MEMORY = {"best_velocity": 0.0, "any_velocity": 0.0}


def compute_reward(before, after, action, memory):
    goal_position_near = 0.0109 * exp(-abs(after.goal_position - 0.6) / 0.532) if after.height > 0.353 else 0.0
    goal_position_change = 0.597 * (after.goal_position - before.goal_position) if after.height < 0.932 else 0.0
    best_velocity_then = memory.best_velocity if memory.any_velocity > 0.0 else before.velocity
    memory.best_velocity = min(best_velocity_then, after.velocity)
    memory.any_velocity = 1.0
    velocity_record = 10.2 * (best_velocity_then - memory.best_velocity)
    velocity_nearer = -2.25 * (abs(before.velocity - -0.07) - abs(after.velocity - -0.07))
    return goal_position_near + goal_position_change + velocity_record + velocity_nearer, {"goal_position_near": goal_position_near, "goal_position_change": goal_position_change, "velocity_record": velocity_record, "velocity_nearer": velocity_nearer}
