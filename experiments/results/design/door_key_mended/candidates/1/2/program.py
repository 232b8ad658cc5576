MEMORY = {"any_agent_pos_0": 0.0, "best_agent_pos_0": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_pos_0_then = memory.best_agent_pos_0 if memory.any_agent_pos_0 > 0.0 else before.agent_pos[0]
    memory.best_agent_pos_0 = max(best_agent_pos_0_then, after.agent_pos[0])
    memory.any_agent_pos_0 = 1.0
    agent_pos_0_record = 0.0237 * (memory.best_agent_pos_0 - best_agent_pos_0_then)
    return agent_pos_0_record, {"agent_pos_0_record": agent_pos_0_record}
