def compute_reward(before, after, action):
    action_0 = 0.0791 if action == 0 else 0.0
    position_change = 0.108 * (after.position - before.position)
    return action_0 + position_change, {"action_0": action_0, "position_change": position_change}
