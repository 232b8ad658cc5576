def compute_reward(before, after, action):
    carrying_holds = -0.0551 if after.carrying == 1 else 0.0
    return carrying_holds, {"carrying_holds": carrying_holds}
