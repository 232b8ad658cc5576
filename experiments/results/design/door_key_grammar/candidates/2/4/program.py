def compute_reward(before, after, action):
    carrying_holds = -0.265 if after.carrying == 1 else 0.0
    key_pos_1_change = 0.0217 * (after.key_pos[1] - before.key_pos[1])
    return carrying_holds + key_pos_1_change, {"carrying_holds": carrying_holds, "key_pos_1_change": key_pos_1_change}
