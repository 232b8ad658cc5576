def compute_reward(before, after, action):
    agent_goal_nearer = 0.0139 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return agent_goal_nearer, {"agent_goal_nearer": agent_goal_nearer}
