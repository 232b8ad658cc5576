def potential(state):
    velocity_far = -(-3.07 * abs(state.velocity - -0.00999) if state.position > -0.337 else 0.0)
    height_square = 0.203 * (state.height * state.height)
    return velocity_far + height_square, {"velocity_far": velocity_far, "height_square": height_square}
