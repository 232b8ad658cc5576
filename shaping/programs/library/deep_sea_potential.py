# A reference program, written for shapegym: deep sea as a potential. The further to the right, the better.


def potential(state):
    right = 0.1 * state.agent_pos[1]
    return right, {"right": right}
