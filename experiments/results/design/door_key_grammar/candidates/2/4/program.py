def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.0246 * (abs(before.agent_pos[0] - -0.318) - abs(after.agent_pos[0] - -0.16)))
    return door_pos_0_nearer, {"door_pos_0_nearer": door_pos_0_nearer}
