def potential(state):
    has_key_holds = -0.275 if state.has_key else 0.0
    doors_open_square = 3.15e-05 * (state.doors_open * state.doors_open) if state.has_key else 0.0
    agent_dir_holds = (0.822 if state.agent_dir == 3 else 0.0) if state.agent_pos[0] > -0.138 else 0.0
    return has_key_holds + doors_open_square + agent_dir_holds, {"has_key_holds": has_key_holds, "doors_open_square": doors_open_square, "agent_dir_holds": agent_dir_holds}
