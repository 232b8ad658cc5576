def compute_reward(before, after, action):
    door_pos_0_nearer = -(0.013 * (abs(before.goal_pos[0] - -0.496) - abs(after.goal_pos[0] - -0.496)))
    return door_pos_0_nearer, {"door_pos_0_nearer": door_pos_0_nearer}
