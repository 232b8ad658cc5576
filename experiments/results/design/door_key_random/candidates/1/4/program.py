def compute_reward(before, after, action):
    has_key_begins = 1.11 if after.has_key and (not before.has_key) else 0.0
    goal_door_near = 0.0233 * exp(-distance(after.goal_pos, after.door_pos) / 3.88)
    return has_key_begins + goal_door_near, {"has_key_begins": has_key_begins, "goal_door_near": goal_door_near}
