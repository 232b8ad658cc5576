def compute_reward(before, after, action):
    agent_pos_0_far = -0.0354 * abs(after.agent_pos[0] - 5.0) if after.agent_pos[1] < 2.52 else 0.0
    return agent_pos_0_far, {"agent_pos_0_far": agent_pos_0_far}
