def compute_reward(before, after, action):
    if before.velocity > 0.1 and before.velocity < 0.25:
        reward = -4 * (manhattan(before.position, after.position) - manhattan(before.position, before.goal_position))

    elif before.velocity > 0.3:
        reward = -7

    elif before.velocity > 0.4:
        reward = -9

    else:
        reward = -15

    return reward, {"reward": reward}
