def potential(state):
    agent_goal_near = 2.46 * exp(-distance(state.agent_pos, state.goal_pos) / 2.51)
    agent_pos_1_far = -0.0229 * abs(state.agent_pos[1] - 5.0)
    goal_pos_0_square = 0.0187 * (state.goal_pos[0] * state.goal_pos[0])
    return agent_goal_near + agent_pos_1_far + goal_pos_0_square, {"agent_goal_near": agent_goal_near, "agent_pos_1_far": agent_pos_1_far, "goal_pos_0_square": goal_pos_0_square}
