def potential(state):
    goal_position = 0.0579 * state.goal_position
    goal_position_near = 0.215 * exp(-abs(state.goal_position - -1.2) / 0.875) if state.height > 0.514 else 0.0
    position = -0.762 * state.position if state.height > 0.716 else 0.0
    return goal_position + goal_position_near + position, {"goal_position": goal_position, "goal_position_near": goal_position_near, "position": position}
