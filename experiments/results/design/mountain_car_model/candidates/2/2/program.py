def compute_reward(before, after, action):
    if before.position < before.goal_position:
        near = 0.3 * (after.position - before.position)
    else:
        near = 0.0

    return near, {"near": near}
