MEMORY = {"best_height": 0.0, "any_height": 0.0}


def compute_reward(before, after, action, memory):
    best_height_then = memory.best_height if memory.any_height > 0.0 else before.height
    memory.best_height = max(best_height_then, after.height)
    memory.any_height = 1.0
    height_record = 0.951 * (memory.best_height - best_height_then) if after.position < -0.293 else 0.0
    velocity = 1.55 * after.velocity
    height_nearer = 2.68 * (abs(before.height - 1.0) - abs(after.height - 1.0))
    return height_record + velocity + height_nearer, {"height_record": height_record, "velocity": velocity, "height_nearer": height_nearer}
