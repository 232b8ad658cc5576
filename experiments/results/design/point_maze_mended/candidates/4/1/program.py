def compute_reward(before, after, action):
    agent_pos_1_nearer = 0.27 * (abs(before.agent_pos[1] - 3.14) - abs(after.agent_pos[1] - 3.14)) if after.agent_pos[1] < 2.37 else 0.0
    agent_goal_nearer = 0.0171 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return agent_pos_1_nearer + agent_goal_nearer, {"agent_pos_1_nearer": agent_pos_1_nearer, "agent_goal_nearer": agent_goal_nearer}
