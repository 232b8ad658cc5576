# A reference program, written for shapegym: the tabular key and door as a potential.


def potential(state):
    stages = 0.0
    if state.has_key:
        stages += 1.0
    if state.door_open:
        stages += 0.5
    if not state.has_key:
        way = manhattan(state.agent_pos, state.key_pos)
    elif state.agent_pos[1] < state.door_pos[1]:
        way = manhattan(state.agent_pos, state.door_pos)
    else:
        stages += 1.0
        way = manhattan(state.agent_pos, state.goal_pos)
    near = -0.05 * way
    return stages + near, {"stages": stages, "near": near}
