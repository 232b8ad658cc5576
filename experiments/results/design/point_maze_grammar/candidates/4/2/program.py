def compute_reward(before, after, action):
    agent_pos_1_change = 0.28 * (after.agent_pos[1] - before.agent_pos[1])
    agent_goal_nearer = 0.117 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return agent_pos_1_change + agent_goal_nearer, {"agent_pos_1_change": agent_pos_1_change, "agent_goal_nearer": agent_goal_nearer}
