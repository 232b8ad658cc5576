def compute_reward(before, after, action):
    agent_pos_0_square = 0.000389 * (after.agent_pos[0] * after.agent_pos[0])
    has_key_begins = 0.13 if after.has_key and (not before.has_key) else 0.0
    return agent_pos_0_square + has_key_begins, {"agent_pos_0_square": agent_pos_0_square, "has_key_begins": has_key_begins}
