def potential(state):
    agent_pos_0 = 0.0451 * state.agent_pos[0] if state.goal_pos[0] > 3.33 else 0.0
    agent_goal_near = 0.207 * exp(-distance(state.agent_pos, state.goal_pos) / 2.26)
    agent_goal_far = -0.0235 * distance(state.agent_pos, state.goal_pos)
    return agent_pos_0 + agent_goal_near + agent_goal_far, {"agent_pos_0": agent_pos_0, "agent_goal_near": agent_goal_near, "agent_goal_far": agent_goal_far}
