MEMORY = {"best_key_pos_1": 0.0, "any_key_pos_1": 0.0, "best_agent_key": 0.0, "any_agent_key": 0.0}


def compute_reward(before, after, action, memory):
    has_key_holds = -0.00583 if after.has_key else 0.0
    best_key_pos_1_then = memory.best_key_pos_1 if memory.any_key_pos_1 > 0.0 else before.key_pos[1]
    memory.best_key_pos_1 = min(best_key_pos_1_then, after.key_pos[1])
    memory.any_key_pos_1 = 1.0
    key_pos_1_record = 0.0575 * (best_key_pos_1_then - memory.best_key_pos_1) if after.carrying == 5 else 0.0
    best_agent_key_then = memory.best_agent_key if memory.any_agent_key > 0.0 else distance(before.agent_pos, before.key_pos)
    memory.best_agent_key = min(best_agent_key_then, distance(after.agent_pos, after.key_pos))
    memory.any_agent_key = 1.0
    agent_key_record = 0.0143 * (best_agent_key_then - memory.best_agent_key)
    return has_key_holds + key_pos_1_record + agent_key_record, {"has_key_holds": has_key_holds, "key_pos_1_record": key_pos_1_record, "agent_key_record": agent_key_record}
