def compute_reward(before, after, action):
    if before.position < before.goal_position:
        target = before.goal_position
    else:
        target = before.position + 0.5

    near = 0.1 * (abs(before.position - target) - abs(after.position - target))
    return near, {"near": near}
