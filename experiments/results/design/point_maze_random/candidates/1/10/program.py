def potential(state):
    agent_pos_1 = 0.0209 * state.agent_pos[1]
    agent_pos_0_far = -0.043 * abs(state.agent_pos[0] - 0.545) if state.goal_pos[1] > 2.57 else 0.0
    agent_pos_0_near = 0.861 * exp(-abs(state.agent_pos[0] - 0.714) / 0.394) if state.agent_pos[0] > 0.277 else 0.0
    return agent_pos_1 + agent_pos_0_far + agent_pos_0_near, {"agent_pos_1": agent_pos_1, "agent_pos_0_far": agent_pos_0_far, "agent_pos_0_near": agent_pos_0_near}
