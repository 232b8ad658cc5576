MEMORY = {"any_agent_pos_1": 0.0, "best_agent_pos_1": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_pos_1_then = memory.best_agent_pos_1 if memory.any_agent_pos_1 > 0.0 else before.agent_pos[1]
    memory.best_agent_pos_1 = max(best_agent_pos_1_then, after.agent_pos[1])
    memory.any_agent_pos_1 = 1.0
    agent_pos_1_record = 0.0906 * (memory.best_agent_pos_1 - best_agent_pos_1_then)
    agent_goal_nearer = 0.0695 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return agent_pos_1_record + agent_goal_nearer, {"agent_pos_1_record": agent_pos_1_record, "agent_goal_nearer": agent_goal_nearer}
