def compute_reward(before, after, action):
    goal_pos_1_far = 0.0123 * abs(after.goal_pos[1] - 2.05) if after.goal_pos[0] > 0.581 else 0.0
    return goal_pos_1_far, {"goal_pos_1_far": goal_pos_1_far}
