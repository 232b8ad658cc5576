def compute_reward(before, after, action):
    has_key_holds = (0.00459 if after.has_key else 0.0) if after.front == 2 else 0.0
    return has_key_holds, {"has_key_holds": has_key_holds}
