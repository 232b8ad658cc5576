MEMORY = {"any_goal_pos_0": 0.0, "best_goal_pos_0": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_pos_0_then = memory.best_goal_pos_0 if memory.any_goal_pos_0 > 0.0 else before.agent_pos[0]
    memory.best_goal_pos_0 = max(best_goal_pos_0_then, after.agent_pos[0])
    memory.any_goal_pos_0 = 1.0
    goal_pos_0_record = -(0.0861 * (memory.best_goal_pos_0 - best_goal_pos_0_then))
    return goal_pos_0_record, {"goal_pos_0_record": goal_pos_0_record}
