MEMORY = {"any_velocity": 0.0, "best_velocity": 0.0, "any_position": 0.0, "best_position": 0.0}


def compute_reward(before, after, action, memory):
    goal_position_near = 0.0109 * exp(-abs(after.goal_position - 0.6) / 0.532) if after.height > 0.353 else 0.0
    best_velocity_then = memory.best_velocity if memory.any_velocity > 0.0 else before.velocity
    memory.best_velocity = min(best_velocity_then, after.velocity)
    memory.any_velocity = 1.0
    velocity_record = 5.33 * (best_velocity_then - memory.best_velocity)
    velocity_nearer = -3.41 * (abs(before.velocity - -0.144) - abs(after.velocity - -0.108))
    best_position_then = memory.best_position if memory.any_position > 0.0 else before.position
    memory.best_position = max(best_position_then, after.position)
    memory.any_position = 1.0
    position_record = 1.52 * (memory.best_position - best_position_then)
    return goal_position_near + velocity_record + velocity_nearer + position_record, {"goal_position_near": goal_position_near, "velocity_record": velocity_record, "velocity_nearer": velocity_nearer, "position_record": position_record}
