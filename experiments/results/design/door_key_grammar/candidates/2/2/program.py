def compute_reward(before, after, action):
    carrying_holds = -0.00779 if after.carrying == 1 else 0.0
    doors_open_far = -0.000537 * abs(after.doors_open - 35.1)
    return carrying_holds + doors_open_far, {"carrying_holds": carrying_holds, "doors_open_far": doors_open_far}
