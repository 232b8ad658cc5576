def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.00262 * (abs(before.agent_pos[0] - -1.76) - abs(after.agent_pos[0] - -0.175)))
    carrying_holds = -0.0209 if after.carrying == 1 else 0.0
    carrying_color_holds = 0.0137 if after.carrying_color == -1 else 0.0
    return door_pos_0_nearer + carrying_holds + carrying_color_holds, {"door_pos_0_nearer": door_pos_0_nearer, "carrying_holds": carrying_holds, "carrying_color_holds": carrying_color_holds}
