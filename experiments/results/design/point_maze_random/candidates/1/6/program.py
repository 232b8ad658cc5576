def compute_reward(before, after, action):
    agent_pos_1 = 0.000918 * after.agent_pos[1] if after.agent_pos[1] < 3.15 else 0.0
    return agent_pos_1, {"agent_pos_1": agent_pos_1}
