def potential(state):
    agent_goal_far = -0.0399 * distance(state.agent_pos, state.goal_pos)
    goal_pos_1_square = 0.000429 * (state.goal_pos[1] * state.goal_pos[1])
    return agent_goal_far + goal_pos_1_square, {"agent_goal_far": agent_goal_far, "goal_pos_1_square": goal_pos_1_square}
