def potential(state):
    agent_goal_near = 0.205 * exp(-distance(state.agent_pos, state.goal_pos) / 1.66)
    agent_pos_0_far = -0.177 * abs(state.agent_pos[0] - 5.0)
    agent_goal_near_2 = 1.83 * exp(-distance(state.agent_pos, state.goal_pos) / 1.73)
    return agent_goal_near + agent_pos_0_far + agent_goal_near_2, {"agent_goal_near": agent_goal_near, "agent_pos_0_far": agent_pos_0_far, "agent_goal_near_2": agent_goal_near_2}
