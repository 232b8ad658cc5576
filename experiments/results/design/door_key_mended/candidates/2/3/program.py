def potential(state):
    potential = -1.0 if state.doors_open == 0 else 0.0
    has_key_holds = 2.31 if state.has_key else 0.0
    door_pos_1_near = 1.02 * exp(-abs(state.door_pos[1] - 8.24) / 3.43) if not state.has_key else 0.0
    key_pos_1_near = 1.5 * exp(-abs(state.key_pos[1] - 7.0) / 0.843)
    return potential + has_key_holds + door_pos_1_near + key_pos_1_near, {"potential": potential, "has_key_holds": has_key_holds, "door_pos_1_near": door_pos_1_near, "key_pos_1_near": key_pos_1_near}
