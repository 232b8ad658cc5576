def compute_reward(before, after, action):
    height_change = 0.43 * (after.height - before.height) if after.height > 0.827 else 0.0
    return height_change, {"height_change": height_change}
