def compute_reward(before, after, action):
    agent_pos_0_square = -0.00757 * (after.agent_pos[0] * after.agent_pos[0])
    agent_pos_1_square = 0.000429 * (after.agent_pos[1] * after.agent_pos[1]) if after.agent_pos[1] > 4.46 else 0.0
    return agent_pos_0_square + agent_pos_1_square, {"agent_pos_0_square": agent_pos_0_square, "agent_pos_1_square": agent_pos_1_square}
