def compute_reward(before, after, action):
    agent_pos_1_change = 0.208 * (after.agent_pos[1] - before.agent_pos[1])
    agent_goal_nearer = 0.141 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_pos_0_change = 0.0153 * (after.agent_pos[0] - before.agent_pos[0]) if after.agent_pos[1] < 2.95 else 0.0
    agent_goal_nearer_2 = 0.0422 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_pos_1 = -0.00115 * after.agent_pos[1]
    return agent_pos_1_change + agent_goal_nearer + agent_pos_0_change + agent_goal_nearer_2 + agent_pos_1, {"agent_pos_1_change": agent_pos_1_change, "agent_goal_nearer": agent_goal_nearer, "agent_pos_0_change": agent_pos_0_change, "agent_goal_nearer_2": agent_goal_nearer_2, "agent_pos_1": agent_pos_1}
