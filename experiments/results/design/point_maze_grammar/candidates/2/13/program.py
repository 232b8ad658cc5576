def potential(state):
    agent_goal_near = 1.47 * exp(-distance(state.agent_pos, state.goal_pos) / 3.45)
    agent_pos_0_far = -0.177 * abs(state.agent_pos[0] - 5.0)
    agent_pos_1_far = -(0.0316 * abs(state.agent_pos[1] - 0.0))
    return agent_goal_near + agent_pos_0_far + agent_pos_1_far, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far, "agent_pos_1_far": agent_pos_1_far}
