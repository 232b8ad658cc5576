def compute_reward(before, after, action):
    agent_key_nearer = -0.0762 * (distance(before.agent_pos, before.key_pos) - distance(after.agent_pos, after.key_pos))
    return agent_key_nearer, {"agent_key_nearer": agent_key_nearer}
