def potential(state):
    agent_goal_far = -0.0213 * distance(state.agent_pos, state.goal_pos)
    return agent_goal_far, {"agent_goal_far": agent_goal_far}
