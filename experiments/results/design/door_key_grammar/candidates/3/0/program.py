def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.0662 * (abs(before.agent_pos[0] - -0.46) - abs(after.agent_pos[0] - -0.0988)))
    return door_pos_0_nearer, {"door_pos_0_nearer": door_pos_0_nearer}
