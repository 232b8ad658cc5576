def potential(state):
    carrying_holds = (-0.841 if state.carrying == 5 else 0.0) if state.door_pos[1] > 3.78 else 0.0
    agent_goal_far = -0.078 * distance(state.agent_pos, state.goal_pos)
    has_key_holds = 0.161 if state.has_key else 0.0
    return carrying_holds + agent_goal_far + has_key_holds, {"carrying_holds": carrying_holds, "agent_goal_far": agent_goal_far, "has_key_holds": has_key_holds}
