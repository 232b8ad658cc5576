def potential(state):
    agent_pos_0_square = 0.012 * (state.agent_pos[0] * state.agent_pos[0])
    agent_goal_far = -0.177 * distance(state.agent_pos, state.goal_pos)
    return agent_pos_0_square + agent_goal_far, {"agent_pos_0_square": agent_pos_0_square, "agent_goal_far": agent_goal_far}
