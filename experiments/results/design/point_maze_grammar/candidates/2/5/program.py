def potential(state):
    agent_goal_near = 1.51 * exp(-distance(state.agent_pos, state.goal_pos) / 2.47)
    agent_pos_0_far = -0.177 * abs(state.agent_pos[0] - 5.0)
    return agent_goal_near + agent_pos_0_far, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far}
