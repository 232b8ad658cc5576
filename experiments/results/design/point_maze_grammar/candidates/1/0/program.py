def compute_reward(before, after, action):
    effort = -0.0384 * dot(action, action)
    agent_pos_1_nearer = 0.535 * (abs(before.agent_pos[1] - 5.0) - abs(after.agent_pos[1] - 5.0))
    agent_goal_nearer = 0.176 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    agent_goal_nearer_2 = -0.149 * (distance(before.agent_pos, before.goal_pos) - distance(after.agent_pos, after.goal_pos))
    return effort + agent_pos_1_nearer + agent_goal_nearer + agent_goal_nearer_2, {"effort": effort, "agent_pos_1_nearer": agent_pos_1_nearer, "agent_goal_nearer": agent_goal_nearer, "agent_goal_nearer_2": agent_goal_nearer_2}
