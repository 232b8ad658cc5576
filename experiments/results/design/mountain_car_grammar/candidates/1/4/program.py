def compute_reward(before, after, action):
    action_1 = -0.000722 if action == 1 else 0.0
    return action_1, {"action_1": action_1}
