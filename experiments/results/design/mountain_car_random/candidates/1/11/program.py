MEMORY = {"best_velocity": 0.0, "any_velocity": 0.0}


def compute_reward(before, after, action, memory):
    best_velocity_then = memory.best_velocity if memory.any_velocity > 0.0 else before.velocity
    memory.best_velocity = max(best_velocity_then, after.velocity)
    memory.any_velocity = 1.0
    velocity_record = 3.86 * (memory.best_velocity - best_velocity_then)
    return velocity_record, {"velocity_record": velocity_record}
