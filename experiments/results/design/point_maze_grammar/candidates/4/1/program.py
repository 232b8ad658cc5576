def compute_reward(before, after, action):
    agent_pos_1_change = 0.423 * (after.agent_pos[1] - before.agent_pos[1])
    agent_goal_nearer = 0.0964 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_pos_0_change = 0.0209 * (after.agent_pos[0] - before.agent_pos[0]) if after.agent_pos[1] < 1.58 else 0.0
    agent_goal_nearer_3 = 0.0299 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_goal_far = -0.0023 * distance(after.agent_pos, after.goal_pos)
    return agent_pos_1_change + agent_goal_nearer + agent_pos_0_change + agent_goal_nearer_3 + agent_goal_far, {"agent_pos_1_change": agent_pos_1_change, "agent_goal_nearer": agent_goal_nearer, "agent_pos_0_change": agent_pos_0_change, "agent_goal_nearer_3": agent_goal_nearer_3, "agent_goal_far": agent_goal_far}
