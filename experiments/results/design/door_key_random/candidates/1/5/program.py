def compute_reward(before, after, action):
    goal_pos_0_nearer = 0.0663 * (abs(before.goal_pos[0] - 7.0) - abs(after.goal_pos[0] - 7.0))
    goal_key_nearer = -0.0633 * (distance(before.goal_pos, before.key_pos) - distance(after.goal_pos, after.key_pos))
    return goal_pos_0_nearer + goal_key_nearer, {"goal_pos_0_nearer": goal_pos_0_nearer, "goal_key_nearer": goal_key_nearer}
