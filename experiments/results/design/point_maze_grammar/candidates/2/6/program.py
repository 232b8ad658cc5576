def potential(state):
    agent_goal_near = 0.552 * exp(-distance(state.agent_pos, state.goal_pos) / 1.21)
    agent_pos_0_far = -0.151 * abs(state.agent_pos[0] - 7.96)
    agent_pos_0_far_2 = -(-0.0263 * abs(state.agent_pos[0] - 0.0))
    agent_pos_0 = -0.0623 * state.agent_pos[0]
    return agent_goal_near + agent_pos_0_far + agent_pos_0_far_2 + agent_pos_0, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far, "agent_pos_0_far_2": agent_pos_0_far_2, "agent_pos_0": agent_pos_0}
