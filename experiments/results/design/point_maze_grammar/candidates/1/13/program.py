def compute_reward(before, after, action):
    agent_pos_1_square = -(0.000458 * (after.agent_pos[1] * after.agent_pos[1]) if after.agent_pos[1] > 3.36 else 0.0)
    return agent_pos_1_square, {"agent_pos_1_square": agent_pos_1_square}
