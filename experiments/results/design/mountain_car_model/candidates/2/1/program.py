def compute_reward(before, after, action):
    if before.position <= 0:
        target = before.goal_position
    else:
        target = -1.2
    near = 0.05 * (manhattan(before.position, target) - manhattan(after.position, target))
    return near, {"near": near}
