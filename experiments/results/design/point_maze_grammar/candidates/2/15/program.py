def potential(state):
    agent_goal_near = 1.03 * exp(-distance(state.agent_pos, state.goal_pos) / 1.19)
    agent_pos_0_far = -0.178 * abs(state.agent_pos[0] - 4.55)
    return agent_goal_near + agent_pos_0_far, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far}
