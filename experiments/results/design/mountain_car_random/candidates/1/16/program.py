def potential(state):
    goal_position = 0.125 * state.goal_position if state.position > -0.00217 else 0.0
    position = 0.0569 * state.position if state.height < 0.66 else 0.0
    velocity_square = -30.1 * (state.velocity * state.velocity)
    return goal_position + position + velocity_square, {"goal_position": goal_position, "position": position, "velocity_square": velocity_square}
