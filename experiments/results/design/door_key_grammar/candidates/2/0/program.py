MEMORY = {"seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    agent_door_nearer = 0.00254 * (distance(before.door_pos, before.door_pos) - distance(after.door_pos, after.door_pos))
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.377 * (memory.seen_has_key - seen_has_key_then)
    return agent_door_nearer + has_key_first, {"agent_door_nearer": agent_door_nearer, "has_key_first": has_key_first}
