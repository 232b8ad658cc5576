MEMORY = {"any_agent_goal": 0.0, "best_agent_goal": 0.0}


def compute_reward(before, after, action, memory):
    agent_pos_1_nearer = 0.27 * (abs(before.agent_pos[1] - 3.14) - abs(after.agent_pos[1] - 3.14)) if after.agent_pos[1] < 2.37 else 0.0
    best_agent_goal_then = memory.best_agent_goal if memory.any_agent_goal > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal = min(best_agent_goal_then, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal = 1.0

    agent_goal_record = 0.0914 * (best_agent_goal_then - memory.best_agent_goal)
    return agent_pos_1_nearer + agent_goal_record, {"agent_pos_1_nearer": agent_pos_1_nearer, "agent_goal_record": agent_goal_record}
