def compute_reward(before, after, action):
    near = 0.1 * (manhattan(before.position, after.position) - manhattan(after.position, before.goal_position))
    if after.height > 0.6:
        speed = 0.2
    elif abs(after.velocity) < 0.1:
        speed = 0.05
    else:
        speed = 0.1

    return near + speed, {"near": near, "speed": speed}
