def compute_reward(before, after, action):
    near = 0.0205 * (after.position - before.position)
    return near, {"near": near}
