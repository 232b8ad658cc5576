def compute_reward(before, after, action):
    height_change = 1.33 * (after.height - before.height)
    height_nearer = 0.381 * (abs(before.height - 1.0) - abs(after.height - 1.0))
    return height_change + height_nearer, {"height_change": height_change, "height_nearer": height_nearer}
