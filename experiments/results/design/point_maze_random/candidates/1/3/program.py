MEMORY = {"best_goal_pos_1": 0.0, "any_goal_pos_1": 0.0, "best_agent_goal": 0.0, "any_agent_goal": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_pos_1_then = memory.best_goal_pos_1 if memory.any_goal_pos_1 > 0.0 else before.goal_pos[1]
    memory.best_goal_pos_1 = min(best_goal_pos_1_then, after.goal_pos[1])
    memory.any_goal_pos_1 = 1.0
    goal_pos_1_record = 0.0377 * (best_goal_pos_1_then - memory.best_goal_pos_1)
    goal_pos_1_change = -0.348 * (after.goal_pos[1] - before.goal_pos[1]) if after.agent_pos[0] < 3.56 else 0.0
    agent_goal_near = 0.093 * exp(-distance(after.agent_pos, after.goal_pos) / 1.82)
    best_agent_goal_then = memory.best_agent_goal if memory.any_agent_goal > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal = min(best_agent_goal_then, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal = 1.0
    agent_goal_record = 0.253 * (best_agent_goal_then - memory.best_agent_goal)
    return goal_pos_1_record + goal_pos_1_change + agent_goal_near + agent_goal_record, {"goal_pos_1_record": goal_pos_1_record, "goal_pos_1_change": goal_pos_1_change, "agent_goal_near": agent_goal_near, "agent_goal_record": agent_goal_record}
