def compute_reward(before, after, action):
    agent_goal_near = 0.0672 * (0.0387 * exp(-distance(after.agent_pos, after.goal_pos) / 0.547) - 0.0185 * exp(-distance(before.agent_pos, before.goal_pos) / 6.12))
    return agent_goal_near, {"agent_goal_near": agent_goal_near}
