def potential(state):
    agent_goal_near = -(0.568 * exp(-distance(state.agent_pos, state.goal_pos) / 0.376))
    agent_goal_far = -0.326 * distance(state.agent_pos, state.goal_pos)
    agent_goal_near_2 = 2.13 * exp(-distance(state.agent_pos, state.goal_pos) / 0.898) if state.agent_pos[1] > 2.25 else 0.0
    agent_pos_1_far = -0.0627 * abs(state.agent_pos[1] - 5.85)
    return agent_goal_near + agent_goal_far + agent_goal_near_2 + agent_pos_1_far, {"agent_goal_near": agent_goal_near, "agent_goal_far": agent_goal_far, "agent_goal_near_2": agent_goal_near_2, "agent_pos_1_far": agent_pos_1_far}
