def potential(state):
    agent_pos_1_far = -0.0799 * abs(state.agent_pos[1] - 4.99)
    return agent_pos_1_far, {"agent_pos_1_far": agent_pos_1_far}
