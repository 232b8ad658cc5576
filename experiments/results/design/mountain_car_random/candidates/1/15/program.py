def potential(state):
    position = 0.323 * state.position
    goal_position = 0.388 * state.goal_position
    goal_position_far = -0.0845 * abs(state.goal_position - 0.6)
    return position + goal_position + goal_position_far, {"position": position, "goal_position": goal_position, "goal_position_far": goal_position_far}
