def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.00446 * (abs(before.agent_pos[0] - -2.07) - abs(after.agent_pos[0] - -0.242)))
    return door_pos_0_nearer, {"door_pos_0_nearer": door_pos_0_nearer}
