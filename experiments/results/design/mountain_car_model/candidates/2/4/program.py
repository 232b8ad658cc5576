def compute_reward(before, after, action):
    near = 0.1 * (abs(before.position - before.goal_position) - abs(after.position - before.goal_position))
    return near, {"near": near}
