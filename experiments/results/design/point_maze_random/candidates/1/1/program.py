MEMORY = {"best_goal_pos_0": 0.0, "any_goal_pos_0": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_pos_0_then = memory.best_goal_pos_0 if memory.any_goal_pos_0 > 0.0 else before.goal_pos[0]
    memory.best_goal_pos_0 = min(best_goal_pos_0_then, after.goal_pos[0])
    memory.any_goal_pos_0 = 1.0
    goal_pos_0_record = 0.0236 * (best_goal_pos_0_then - memory.best_goal_pos_0)
    agent_goal_nearer = -0.065 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_goal_nearer_2 = 0.023 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return goal_pos_0_record + agent_goal_nearer + agent_goal_nearer_2, {"goal_pos_0_record": goal_pos_0_record, "agent_goal_nearer": agent_goal_nearer, "agent_goal_nearer_2": agent_goal_nearer_2}
