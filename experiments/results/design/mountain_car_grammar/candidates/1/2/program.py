def compute_reward(before, after, action):
    height_change = 0.72 * (after.height - before.height)
    return height_change, {"height_change": height_change}
