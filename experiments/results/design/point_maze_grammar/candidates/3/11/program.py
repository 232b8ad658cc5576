def potential(state):
    agent_goal_far = -0.128 * distance(state.agent_pos, state.goal_pos) if distance(state.agent_pos, state.goal_pos) < 1.7 else 0.0
    agent_pos_0_far = -0.177 * abs(state.agent_pos[0] - 5.0)
    agent_goal_near_2 = 1.83 * exp(-distance(state.agent_pos, state.goal_pos) / 1.73)
    agent_goal_far_2 = -0.0846 * distance(state.agent_pos, state.goal_pos) if state.agent_pos[1] > 1.95 else 0.0
    return agent_goal_far + agent_pos_0_far + agent_goal_near_2 + agent_goal_far_2, {"agent_goal_far": agent_goal_far, "agent_pos_0_far": agent_pos_0_far, "agent_goal_near_2": agent_goal_near_2, "agent_goal_far_2": agent_goal_far_2}
