def compute_reward(before, after, action):
    agent_pos_1_nearer = 0.106 * (abs(before.agent_pos[1] - 5.0) - abs(after.agent_pos[1] - 5.0))
    agent_goal_nearer = 0.283 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos)) if after.goal_pos[1] < 4.03 else 0.0
    return agent_pos_1_nearer + agent_goal_nearer, {"agent_pos_1_nearer": agent_pos_1_nearer, "agent_goal_nearer": agent_goal_nearer}
