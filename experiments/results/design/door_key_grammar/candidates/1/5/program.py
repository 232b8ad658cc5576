MEMORY = {"seen_carrying": 0.0, "seen_has_key": 0.0, "seen_has_key_2": 0.0}


def compute_reward(before, after, action, memory):
    goal_pos_0_nearer = -(0.0735 * (abs(before.door_pos[0] - 7.1) - abs(after.door_pos[0] - 5.78)))
    seen_carrying_then = memory.seen_carrying
    memory.seen_carrying = 1.0 if after.front == 5 else memory.seen_carrying
    carrying_first = 0.159 * (memory.seen_carrying - seen_carrying_then)
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = -(0.191 * (memory.seen_has_key - seen_has_key_then))
    seen_has_key_then_2 = memory.seen_has_key_2
    memory.seen_has_key_2 = 1.0 if after.has_key else memory.seen_has_key_2
    has_key_first_2 = 1.0 * (memory.seen_has_key_2 - seen_has_key_then_2)
    return goal_pos_0_nearer + carrying_first + has_key_first + has_key_first_2, {"goal_pos_0_nearer": goal_pos_0_nearer, "carrying_first": carrying_first, "has_key_first": has_key_first, "has_key_first_2": has_key_first_2}
