def compute_reward(before, after, action):
    goal_pos_1_far = -(0.103 * abs(after.agent_pos[1] - 11.1) if after.agent_pos[0] > 0.443 else 0.0)
    return goal_pos_1_far, {"goal_pos_1_far": goal_pos_1_far}
