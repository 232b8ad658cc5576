def compute_reward(before, after, action):
    door = 0.212 * (after.doors_open - before.doors_open)
    return door, {"door": door}
