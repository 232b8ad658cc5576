def potential(state):
    velocity_far = -0.364 * abs(state.velocity - 0.141)
    return velocity_far, {"velocity_far": velocity_far}
