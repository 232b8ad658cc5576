MEMORY = {"best_agent_goal": 0.0, "any_agent_goal": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_goal_then = memory.best_agent_goal if memory.any_agent_goal > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal = min(best_agent_goal_then, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal = 1.0
    agent_goal_record = 0.243 * (best_agent_goal_then - memory.best_agent_goal)
    return agent_goal_record, {"agent_goal_record": agent_goal_record}
