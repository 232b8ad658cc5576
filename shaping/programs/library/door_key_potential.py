# A reference program, written for shapegym: MiniGrid's DoorKey as a potential, in stages that never pay less
# than the one before.


def potential(state):
    if state.doors_locked > 0 and not state.has_key:
        stage = 0.0
        way = manhattan(state.agent_pos, state.key_pos)
    elif state.agent_pos[0] < state.door_pos[0]:
        stage = 1.0 if state.doors_locked > 0 else 1.3
        way = manhattan(state.agent_pos, state.door_pos)
    else:
        stage = 2.0
        way = manhattan(state.agent_pos, state.goal_pos)
    near = -0.03 * way
    return stage + near, {"stage": stage, "near": near}
