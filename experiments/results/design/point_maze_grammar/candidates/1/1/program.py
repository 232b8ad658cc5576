MEMORY = {"any_agent_pos_1": 0.0, "best_agent_pos_1": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_pos_1_then = memory.best_agent_pos_1 if memory.any_agent_pos_1 > 0.0 else before.agent_pos[1]
    memory.best_agent_pos_1 = min(best_agent_pos_1_then, after.agent_pos[1])
    memory.any_agent_pos_1 = 1.0
    agent_pos_1_record = 0.0209 * (best_agent_pos_1_then - memory.best_agent_pos_1) if after.agent_pos[0] > 0.504 else 0.0
    return agent_pos_1_record, {"agent_pos_1_record": agent_pos_1_record}
