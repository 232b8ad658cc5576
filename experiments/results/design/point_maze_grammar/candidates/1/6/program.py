MEMORY = {"any_goal_pos_0": 0.0, "best_goal_pos_0": 0.0, "any_agent_goal_2": 0.0, "best_agent_goal_2": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_pos_0_then = memory.best_goal_pos_0 if memory.any_goal_pos_0 > 0.0 else before.agent_pos[0]
    memory.best_goal_pos_0 = max(best_goal_pos_0_then, after.agent_pos[0])
    memory.any_goal_pos_0 = 1.0
    goal_pos_0_record = 0.454 * (memory.best_goal_pos_0 - best_goal_pos_0_then)
    best_agent_goal_then_2 = memory.best_agent_goal_2 if memory.any_agent_goal_2 > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal_2 = min(best_agent_goal_then_2, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal_2 = 1.0
    agent_goal_record_2 = 0.0337 * (best_agent_goal_then_2 - memory.best_agent_goal_2)
    return goal_pos_0_record + agent_goal_record_2, {"goal_pos_0_record": goal_pos_0_record, "agent_goal_record_2": agent_goal_record_2}
