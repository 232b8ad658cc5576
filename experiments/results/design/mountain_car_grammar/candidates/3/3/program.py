def compute_reward(before, after, action):
    goal_position = 0.0162 * after.position if after.height > 0.802 else 0.0
    return goal_position, {"goal_position": goal_position}
