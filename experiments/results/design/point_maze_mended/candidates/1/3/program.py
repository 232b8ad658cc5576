def compute_reward(before, after, action):
    agent_pos_1_nearer = 0.0294 * (abs(before.agent_pos[1] - 3.13) - abs(after.agent_pos[1] - 3.13))
    return agent_pos_1_nearer, {"agent_pos_1_nearer": agent_pos_1_nearer}
