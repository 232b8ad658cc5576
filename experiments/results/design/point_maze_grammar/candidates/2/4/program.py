MEMORY = {"any_agent_goal": 0.0, "best_agent_goal": 0.0}


def compute_reward(before, after, action, memory):
    agent_pos_1_change = 0.28 * (after.agent_pos[1] - before.agent_pos[1])
    best_agent_goal_then = memory.best_agent_goal if memory.any_agent_goal > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal = min(best_agent_goal_then, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal = 1.0
    agent_goal_record = 0.0743 * (best_agent_goal_then - memory.best_agent_goal)
    goal_pos_1_square = -0.00185 * (after.goal_pos[1] * after.goal_pos[1]) if after.agent_pos[1] > 1.93 else 0.0
    return agent_pos_1_change + agent_goal_record + goal_pos_1_square, {"agent_pos_1_change": agent_pos_1_change, "agent_goal_record": agent_goal_record, "goal_pos_1_square": goal_pos_1_square}
