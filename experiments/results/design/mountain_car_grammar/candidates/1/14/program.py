def potential(state):
    velocity_near = -(0.17 * exp(-abs(state.velocity - 0.155) / 0.0331))
    velocity = 12.2 * state.velocity
    velocity_2 = 7.94 * state.velocity
    return velocity_near + velocity + velocity_2, {"velocity_near": velocity_near, "velocity": velocity, "velocity_2": velocity_2}
