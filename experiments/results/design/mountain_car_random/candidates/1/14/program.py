def potential(state):
    velocity_near = 0.134 * exp(-abs(state.velocity - 0.07) / 0.0343)
    position_far = -0.49 * abs(state.position - 0.6)
    velocity = 14.8 * state.velocity
    return velocity_near + position_far + velocity, {"velocity_near": velocity_near, "position_far": position_far, "velocity": velocity}
