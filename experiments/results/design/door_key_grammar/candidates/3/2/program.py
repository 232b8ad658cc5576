def compute_reward(before, after, action):
    goal_pos_1_far = -4.64e-05 * abs(after.door_pos[1] - -1.0)
    return goal_pos_1_far, {"goal_pos_1_far": goal_pos_1_far}
