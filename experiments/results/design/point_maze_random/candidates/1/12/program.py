def compute_reward(before, after, action):
    goal_pos_1_nearer = 0.484 * (abs(before.goal_pos[1] - 0.0) - abs(after.goal_pos[1] - 0.0))
    agent_pos_0_change = 0.0455 * (after.agent_pos[0] - before.agent_pos[0])
    return goal_pos_1_nearer + agent_pos_0_change, {"goal_pos_1_nearer": goal_pos_1_nearer, "agent_pos_0_change": agent_pos_0_change}
