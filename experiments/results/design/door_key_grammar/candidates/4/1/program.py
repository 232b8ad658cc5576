MEMORY = {"any_agent_key": 0.0, "best_agent_key": 0.0}


def compute_reward(before, after, action, memory):
    carrying_holds = -0.0367 if after.carrying == 1 else 0.0
    door_pos_0_nearer = -(0.00622 * (abs(before.agent_pos[0] - -2.12) - abs(after.agent_pos[0] - -0.312)))
    best_agent_key_then = memory.best_agent_key if memory.any_agent_key > 0.0 else distance(before.agent_pos, before.key_pos)
    memory.best_agent_key = min(best_agent_key_then, distance(after.agent_pos, after.key_pos))
    memory.any_agent_key = 1.0
    agent_key_record = 0.138 * (best_agent_key_then - memory.best_agent_key)
    return carrying_holds + door_pos_0_nearer + agent_key_record, {"carrying_holds": carrying_holds, "door_pos_0_nearer": door_pos_0_nearer, "agent_key_record": agent_key_record}
