def potential(state):
    position_far = -1.78 * abs(state.position - 0.165)
    position_square = -(0.0389 * (state.position * state.position))
    position = 0.73 * state.position
    position_square_2 = 0.107 * (state.position * state.position)
    return position_far + position_square + position + position_square_2, {"position_far": position_far, "position_square": position_square, "position": position, "position_square_2": position_square_2}
