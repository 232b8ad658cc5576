MEMORY = {"any_agent_pos_0": 0.0, "best_agent_pos_0": 0.0, "seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_pos_0_then = memory.best_agent_pos_0 if memory.any_agent_pos_0 > 0.0 else before.agent_pos[0]
    memory.best_agent_pos_0 = max(best_agent_pos_0_then, after.agent_pos[0])
    memory.any_agent_pos_0 = 1.0
    agent_pos_0_record = 0.0361 * (memory.best_agent_pos_0 - best_agent_pos_0_then)
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.192 * (memory.seen_has_key - seen_has_key_then)
    room_nearer = 0.00374 * (abs(before.room - 13.4) - abs(after.room - 27.7))
    return agent_pos_0_record + has_key_first + room_nearer, {"agent_pos_0_record": agent_pos_0_record, "has_key_first": has_key_first, "room_nearer": room_nearer}
