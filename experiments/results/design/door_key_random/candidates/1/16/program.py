def potential(state):
    has_key_holds = 0.193 if state.has_key else 0.0
    door_pos_0_far = -0.0128 * abs(state.door_pos[0] - 4.32)
    agent_key_far = -0.0309 * distance(state.agent_pos, state.key_pos) if state.doors_locked > 46.0 else 0.0
    return has_key_holds + door_pos_0_far + agent_key_far, {"has_key_holds": has_key_holds, "door_pos_0_far": door_pos_0_far, "agent_key_far": agent_key_far}
