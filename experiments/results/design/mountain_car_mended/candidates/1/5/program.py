def compute_reward(before, after, action):
    near = 0.00588 * (abs(before.position - (after.position if before.position < after.position else before.goal_position)) - abs(after.position - (after.position if before.position < after.position else before.goal_position)))
    velocity = 0.103 * after.velocity
    return near + velocity, {"near": near, "velocity": velocity}
