def potential(state):
    agent_goal_near = 0.725 * exp(-distance(state.agent_pos, state.goal_pos) / 2.54)
    agent_pos_0_square = -0.0158 * (state.agent_pos[0] * state.agent_pos[0])
    agent_pos_0_far_2 = -(-0.0912 * abs(state.agent_pos[0] - 0.0))
    agent_pos_0_square_2 = 0.00823 * (state.agent_pos[0] * state.agent_pos[0])
    return agent_goal_near + agent_pos_0_square + agent_pos_0_far_2 + agent_pos_0_square_2, {"agent_goal_near": agent_goal_near, "agent_pos_0_square": agent_pos_0_square, "agent_pos_0_far_2": agent_pos_0_far_2, "agent_pos_0_square_2": agent_pos_0_square_2}
