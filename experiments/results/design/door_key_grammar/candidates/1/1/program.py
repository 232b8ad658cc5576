MEMORY = {"seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    doors_open_nearer = 0.0229 * (abs(before.doors_open - 47.3) - abs(after.doors_open - 71.0))
    agent_door_nearer = 0.0054 * (distance(before.agent_pos, before.door_pos) - distance(after.agent_pos, after.door_pos))
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.377 * (memory.seen_has_key - seen_has_key_then)
    return doors_open_nearer + agent_door_nearer + has_key_first, {"doors_open_nearer": doors_open_nearer, "agent_door_nearer": agent_door_nearer, "has_key_first": has_key_first}
