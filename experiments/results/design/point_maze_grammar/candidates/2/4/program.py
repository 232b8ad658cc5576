def potential(state):
    agent_pos_0_far = -0.266 * abs(state.goal_pos[0] - 2.59)
    return agent_pos_0_far, {"agent_pos_0_far": agent_pos_0_far}
