def compute_reward(before, after, action):
    key_pos_0 = -0.00106 * after.key_pos[0] if after.carrying_color == 3 else 0.0
    front_holds = -(0.011 if before.agent_dir == 2 else 0.0)
    return key_pos_0 + front_holds, {"key_pos_0": key_pos_0, "front_holds": front_holds}
