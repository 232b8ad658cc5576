def compute_reward(before, after, action):
    target = before.goal_position
    near = 0.1 * (abs(after.position - target) - abs(before.position - target))

    if action == 0:
        engine_power = 0.25
    elif action == 2:
        engine_power = 0.75
    else:
        engine_power = 0.0

    return near + engine_power, {"near": near, "engine_power": engine_power}
