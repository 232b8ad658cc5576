def potential(state):
    velocity = 33.0 * state.velocity
    position_near = 0.332 * exp(-abs(state.position - -1.2) / 0.358)
    return velocity + position_near, {"velocity": velocity, "position_near": position_near}
