def compute_reward(before, after, action):
    doors_locked_nearer = 0.0384 * (abs(before.doors_locked - 0.0) - abs(after.doors_locked - 0.0))
    has_key_begins = 0.227 if after.has_key and (not before.has_key) else 0.0
    return doors_locked_nearer + has_key_begins, {"doors_locked_nearer": doors_locked_nearer, "has_key_begins": has_key_begins}
