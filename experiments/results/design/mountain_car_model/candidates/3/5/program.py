def compute_reward(before, after, action):
    if before.position <= 0:
        target = before.goal_position
    else:
        target = -1.2
    near = 0.1 * (manhattan(before.position, target) - manhattan(after.position, target))
    warning = 0.05 if not near else 0.0

    return near + warning, {"near": near, "warning": warning}
