def potential(state):
    velocity_square = 4.94 * (state.velocity * state.velocity)
    position_square = 0.326 * (state.position * state.position)
    position_near = -(-0.0103 * exp(-abs(state.position - 0.135) / 0.343))
    return velocity_square + position_square + position_near, {"velocity_square": velocity_square, "position_square": position_square, "position_near": position_near}
