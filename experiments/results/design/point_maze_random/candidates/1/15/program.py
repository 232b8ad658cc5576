def potential(state):
    goal_pos_1_near = 0.162 * exp(-abs(state.goal_pos[1] - 5.0) / 2.07) if state.agent_pos[0] < 2.79 else 0.0
    goal_pos_0 = 0.288 * state.goal_pos[0]
    agent_goal_far = -0.0275 * distance(state.agent_pos, state.goal_pos)
    return goal_pos_1_near + goal_pos_0 + agent_goal_far, {"goal_pos_1_near": goal_pos_1_near, "goal_pos_0": goal_pos_0, "agent_goal_far": agent_goal_far}
