def compute_reward(before, after, action):
    agent_pos_1_nearer = 0.124 * (abs(before.agent_pos[1] - 0.625) - abs(after.agent_pos[1] - 11.9))
    return agent_pos_1_nearer, {"agent_pos_1_nearer": agent_pos_1_nearer}
