def compute_reward(before, after, action):
    near = 0.05 * (abs(before.position - after.position) - abs(before.height - after.height))

    if after.position == before.goal_position:
        key = 1.0
    else:
        key = 0.0

    return near + key, {"near": near, "key": key}
