def potential(state):
    agent_pos_1_near = -(0.154 * exp(-abs(state.goal_pos[1] - 1.62) / 0.541))
    return agent_pos_1_near, {"agent_pos_1_near": agent_pos_1_near}
