MEMORY = {"any_agent_pos_0": 0.0, "best_agent_pos_0": 0.0, "seen_has_key": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_pos_0_then = memory.best_agent_pos_0 if memory.any_agent_pos_0 > 0.0 else before.agent_pos[0]
    memory.best_agent_pos_0 = max(best_agent_pos_0_then, after.agent_pos[0])
    memory.any_agent_pos_0 = 1.0
    agent_pos_0_record = 0.0302 * (memory.best_agent_pos_0 - best_agent_pos_0_then)
    seen_has_key_then = memory.seen_has_key
    memory.seen_has_key = 1.0 if after.has_key else memory.seen_has_key
    has_key_first = 0.414 * (memory.seen_has_key - seen_has_key_then)
    agent_key_near = -0.109 * exp(-distance(after.agent_pos, after.key_pos) / 11.1)
    return agent_pos_0_record + has_key_first + agent_key_near, {"agent_pos_0_record": agent_pos_0_record, "has_key_first": has_key_first, "agent_key_near": agent_key_near}
