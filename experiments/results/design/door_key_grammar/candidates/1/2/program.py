def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.00622 * (abs(before.agent_pos[0] - -2.12) - abs(after.agent_pos[0] - -0.312)))
    return door_pos_0_nearer, {"door_pos_0_nearer": door_pos_0_nearer}
