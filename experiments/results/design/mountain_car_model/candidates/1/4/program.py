def compute_reward(before, after, action):
    target = before.goal_position - 0.45 * sin(3 * before.position) - 0.55
    near = 0.05 * (abs(before.position - target) - abs(after.position - target))

    if action == 2:
        engine = 0.3
    elif action == 0:
        engine = -0.1
    else:
        engine = 0.0

    return near + engine, {"near": near, "engine": engine}
