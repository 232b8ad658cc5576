def potential(state):
    agent_pos_1 = 0.0671 * state.agent_pos[1]
    return agent_pos_1, {"agent_pos_1": agent_pos_1}
