def compute_reward(before, after, action):
    has_key_begins = 0.39 if after.has_key and (not before.has_key) else 0.0
    return has_key_begins, {"has_key_begins": has_key_begins}
