def compute_reward(before, after, action):
    agent_pos_1_change = 0.222 * (after.agent_pos[1] - before.agent_pos[1])
    goal_pos_0 = 0.00497 * after.goal_pos[0]
    return agent_pos_1_change + goal_pos_0, {"agent_pos_1_change": agent_pos_1_change, "goal_pos_0": goal_pos_0}
