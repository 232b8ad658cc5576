def compute_reward(before, after, action):
    goal_pos_1_nearer = 0.145 * (abs(before.goal_pos[1] - 7.5) - abs(after.goal_pos[1] - 11.3))
    agent_goal_nearer = 0.00532 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_goal_far = -0.0594 * distance(after.agent_pos, after.goal_pos)
    return goal_pos_1_nearer + agent_goal_nearer + agent_goal_far, {"goal_pos_1_nearer": goal_pos_1_nearer, "agent_goal_nearer": agent_goal_nearer, "agent_goal_far": agent_goal_far}
