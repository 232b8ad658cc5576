def compute_reward(before, after, action):
    agent_pos_1_nearer = 0.0378 * (abs(before.agent_pos[1] - 5.66) - abs(after.agent_pos[1] - 6.47))
    agent_goal_nearer = 0.0242 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_pos_1_nearer_2 = 0.023 * (abs(before.agent_pos[1] - 5.0) - abs(after.agent_pos[1] - 5.0))
    return agent_pos_1_nearer + agent_goal_nearer + agent_pos_1_nearer_2, {"agent_pos_1_nearer": agent_pos_1_nearer, "agent_goal_nearer": agent_goal_nearer, "agent_pos_1_nearer_2": agent_pos_1_nearer_2}
