def potential(state):
    agent_pos_0_far = -0.177 * abs(state.agent_pos[0] - 5.0)
    agent_goal_near_2 = 1.83 * exp(-distance(state.agent_pos, state.goal_pos) / 1.73)
    agent_pos_1_near = 0.269 * exp(-abs(state.agent_pos[1] - 3.93) / 2.53)
    return agent_pos_0_far + agent_goal_near_2 + agent_pos_1_near, {"agent_pos_0_far": agent_pos_0_far, "agent_goal_near_2": agent_goal_near_2, "agent_pos_1_near": agent_pos_1_near}
