def compute_reward(before, after, action):
    agent_pos_1_nearer = 0.0378 * (abs(before.agent_pos[1] - 5.66) - abs(after.agent_pos[1] - 6.47))
    return agent_pos_1_nearer, {"agent_pos_1_nearer": agent_pos_1_nearer}
