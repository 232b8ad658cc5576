def potential(state):
    agent_goal_near = 1.53 * exp(-distance(state.agent_pos, state.goal_pos) / 1.7)
    agent_goal_near_2 = -(0.668 * exp(-distance(state.agent_pos, state.goal_pos) / 1.75))
    agent_pos_0_far_2 = -(-0.0284 * abs(state.agent_pos[0] - 0.0))
    agent_pos_0 = 0.109 * state.agent_pos[0] if state.agent_pos[1] > 3.36 else 0.0
    return agent_goal_near + agent_goal_near_2 + agent_pos_0_far_2 + agent_pos_0, {"agent_goal_near": agent_goal_near, "agent_goal_near_2": agent_goal_near_2, "agent_pos_0_far_2": agent_pos_0_far_2, "agent_pos_0": agent_pos_0}
