MEMORY = {"best_agent_goal": 0.0, "any_agent_goal": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_goal_then = memory.best_agent_goal if memory.any_agent_goal > 0.0 else distance(before.agent_pos, before.goal_pos)
    memory.best_agent_goal = min(best_agent_goal_then, distance(after.agent_pos, after.goal_pos))
    memory.any_agent_goal = 1.0
    agent_goal_record = 0.217 * (best_agent_goal_then - memory.best_agent_goal)
    agent_pos_1_change = -0.386 * (after.agent_pos[1] - before.agent_pos[1])
    agent_pos_0_far = 0.000629 * abs(after.agent_pos[0] - 3.39)
    goal_pos_0_far = -0.0596 * abs(after.goal_pos[0] - 0.0) if after.agent_pos[0] < 1.77 else 0.0
    return agent_goal_record + agent_pos_1_change + agent_pos_0_far + goal_pos_0_far, {"agent_goal_record": agent_goal_record, "agent_pos_1_change": agent_pos_1_change, "agent_pos_0_far": agent_pos_0_far, "goal_pos_0_far": goal_pos_0_far}
