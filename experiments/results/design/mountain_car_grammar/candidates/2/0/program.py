MEMORY = {"any_height": 0.0, "best_height": 0.0}


def compute_reward(before, after, action, memory):
    velocity = 0.191 * before.velocity
    velocity_2 = 0.704 * after.velocity
    best_height_then = memory.best_height if memory.any_height > 0.0 else before.height
    memory.best_height = max(best_height_then, after.height)
    memory.any_height = 1.0
    height_record = 1.4 * (memory.best_height - best_height_then)
    return velocity + velocity_2 + height_record, {"velocity": velocity, "velocity_2": velocity_2, "height_record": height_record}
