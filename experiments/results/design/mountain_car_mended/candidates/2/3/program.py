def compute_reward(before, after, action):
    near = 0.018 * (abs(before.position - (after.position if before.position < after.position else before.position)) - abs(after.position - (after.position if before.position < after.position else before.position)))
    velocity = 0.0939 * after.velocity
    return near + velocity, {"near": near, "velocity": velocity}
