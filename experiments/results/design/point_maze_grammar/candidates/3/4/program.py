def potential(state):
    agent_goal_near = 0.802 * exp(-distance(state.agent_pos, state.goal_pos) / 1.01)
    agent_pos_0_far = -0.0782 * abs(state.agent_pos[0] - 8.24)
    agent_pos_0 = 0.0639 * state.agent_pos[0]
    return agent_goal_near + agent_pos_0_far + agent_pos_0, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far, "agent_pos_0": agent_pos_0}
