def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.00253 * (abs(before.agent_pos[0] - -0.966) - abs(after.agent_pos[0] - -0.651)))
    return door_pos_0_nearer, {"door_pos_0_nearer": door_pos_0_nearer}
