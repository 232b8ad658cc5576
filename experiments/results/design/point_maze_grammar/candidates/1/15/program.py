def potential(state):
    agent_goal_far = -0.0317 * distance(state.agent_pos, state.goal_pos) if state.agent_pos[1] > 1.51 else 0.0
    agent_goal_near = 4.99 * exp(-distance(state.agent_pos, state.goal_pos) / 4.52)
    agent_goal_near_2 = -0.0984 * exp(-distance(state.agent_pos, state.goal_pos) / 0.231)
    return agent_goal_far + agent_goal_near + agent_goal_near_2, {"agent_goal_far": agent_goal_far, "agent_goal_near": agent_goal_near, "agent_goal_near_2": agent_goal_near_2}
