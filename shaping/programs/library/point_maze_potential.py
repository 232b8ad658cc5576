# A reference program, written for shapegym: the point maze "u" as a potential. What is left of the way,
# through the gap at the right.

GAP = (3.5, 2.5)


def potential(state):
    if state.agent_pos[1] < GAP[1]:
        left = distance(state.agent_pos, GAP) + distance(GAP, state.goal_pos)
    else:
        left = distance(state.agent_pos, state.goal_pos)
    near = -0.2 * left
    return near, {"near": near}
