def potential(state):
    agent_goal_near = 0.535 * exp(-distance(state.agent_pos, state.goal_pos) / 0.469)
    return agent_goal_near, {"agent_goal_near": agent_goal_near}
