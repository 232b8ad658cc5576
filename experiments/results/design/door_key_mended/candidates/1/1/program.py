MEMORY = {"first_room": 0.0, "seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    was_first_room = memory.first_room
    memory.first_room = was_first_room
    near = 0.0565 * (manhattan(before.agent_pos, before.agent_pos if before.room == was_first_room else before.goal_pos) - manhattan(after.agent_pos, before.agent_pos if before.room == was_first_room else before.goal_pos))
    door = 1.32 * (after.doors_open - before.doors_open)
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.518 * (memory.seen_has_key - seen_has_key_then)
    return near + door + has_key_first, {"near": near, "door": door, "has_key_first": has_key_first}
