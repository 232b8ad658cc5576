def potential(state):
    agent_goal_near = 0.134 * exp(-distance(state.agent_pos, state.goal_pos) / 1.73)
    agent_pos_0_far = -0.177 * abs(state.agent_pos[0] - 5.0)
    agent_pos_0_far_2 = -0.0588 * abs(state.agent_pos[0] - 0.0)
    return agent_goal_near + agent_pos_0_far + agent_pos_0_far_2, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far, "agent_pos_0_far_2": agent_pos_0_far_2}
