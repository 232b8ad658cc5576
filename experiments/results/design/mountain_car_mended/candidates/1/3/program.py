def compute_reward(before, after, action):
    height_change = 6.96 * (after.height - before.height)
    action_1 = -0.00849 if action == 1 else 0.0
    return height_change + action_1, {"height_change": height_change, "action_1": action_1}
