MEMORY = {"best_agent_goal": 0.0, "any_agent_goal": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_goal_then = memory.best_agent_goal if memory.any_agent_goal > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal = min(best_agent_goal_then, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal = 1.0
    agent_goal_record = 0.0437 * (best_agent_goal_then - memory.best_agent_goal)
    agent_goal_nearer = -0.0252 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_goal_nearer_2 = 0.0289 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return agent_goal_record + agent_goal_nearer + agent_goal_nearer_2, {"agent_goal_record": agent_goal_record, "agent_goal_nearer": agent_goal_nearer, "agent_goal_nearer_2": agent_goal_nearer_2}
