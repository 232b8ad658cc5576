MEMORY = {"any_agent_key": 0.0, "best_agent_key": 0.0, "seen_front": 0.0, "seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    carrying_holds = -0.0287 if after.carrying == 1 else 0.0
    door_pos_0_nearer = -(0.00589 * (abs(before.agent_pos[0] - -4.51) - abs(after.agent_pos[0] - -0.188)))
    best_agent_key_then = memory.best_agent_key if memory.any_agent_key > 0.0 else distance(before.agent_pos, before.key_pos)
    memory.best_agent_key = min(best_agent_key_then, distance(after.agent_pos, after.key_pos))
    memory.any_agent_key = 1.0
    agent_key_record = 0.124 * (best_agent_key_then - memory.best_agent_key)
    seen_front_then = memory.seen_front
    memory.seen_front = 1.0 if after.front == 8 else memory.seen_front
    front_first = 0.5 * (memory.seen_front - seen_front_then) if after.agent_dir == 0 else 0.0
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.19 * (memory.seen_has_key - seen_has_key_then)
    return carrying_holds + door_pos_0_nearer + agent_key_record + front_first + has_key_first, {"carrying_holds": carrying_holds, "door_pos_0_nearer": door_pos_0_nearer, "agent_key_record": agent_key_record, "front_first": front_first, "has_key_first": has_key_first}
