def compute_reward(before, after, action):
    action_1 = 0.0791 if action == 1 else 0.0
    carrying_color_begins = (0.222 if after.carrying_color == 0 and (not before.carrying_color == 0) else 0.0) if distance(after.goal_pos, after.key_pos) > 3.16 else 0.0
    return action_1 + carrying_color_begins, {"action_1": action_1, "carrying_color_begins": carrying_color_begins}
