def compute_reward(before, after, action):
    height_square = 0.0249 * (after.height * after.height)
    goal_position_change = 0.0721 * (after.goal_position - before.goal_position)
    return height_square + goal_position_change, {"height_square": height_square, "goal_position_change": goal_position_change}
