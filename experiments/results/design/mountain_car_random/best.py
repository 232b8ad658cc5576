def potential(state):
    velocity_near = 2.46 * exp(-abs(state.velocity - 0.07) / 0.0497)
    velocity_far = -0.816 * abs(state.velocity - 0.07)
    height_square = 0.468 * (state.height * state.height)
    return velocity_near + velocity_far + height_square, {"velocity_near": velocity_near, "velocity_far": velocity_far, "height_square": height_square}
