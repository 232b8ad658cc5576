def compute_reward(before, after, action):
    height = 0.00444 * after.height
    goal_position_nearer = 0.274 * (abs(before.goal_position - 0.6) - abs(after.goal_position - 0.6))
    return height + goal_position_nearer, {"height": height, "goal_position_nearer": goal_position_nearer}
