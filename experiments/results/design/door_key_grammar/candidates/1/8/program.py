def compute_reward(before, after, action):
    goal_key_near = 0.02 * exp(-distance(after.goal_pos, after.key_pos) / 3.55) if after.doors_open > 50.6 else 0.0
    carrying_begins = -1.42 if after.carrying == 1 and (not before.carrying == 1) else 0.0
    return goal_key_near + carrying_begins, {"goal_key_near": goal_key_near, "carrying_begins": carrying_begins}
