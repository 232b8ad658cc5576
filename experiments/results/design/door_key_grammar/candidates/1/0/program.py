def potential(state):
    agent_door_far = -(-0.0055 * distance(state.agent_pos, state.door_pos))
    door_pos_1 = 0.00151 * state.key_pos[1]
    return agent_door_far + door_pos_1, {"agent_door_far": agent_door_far, "door_pos_1": door_pos_1}
