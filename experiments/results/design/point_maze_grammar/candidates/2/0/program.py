def potential(state):
    agent_goal_near = 0.0227 * exp(-distance(state.agent_pos, state.goal_pos) / 3.6) if state.agent_pos[0] < 5.62 else 0.0
    return agent_goal_near, {"agent_goal_near": agent_goal_near}
