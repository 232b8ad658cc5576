def compute_reward(before, after, action):
    effort = -0.0791 * dot(action, action)
    agent_goal_near = 0.0197 * exp(-distance(after.agent_pos, after.goal_pos) / 1.1)
    return effort + agent_goal_near, {"effort": effort, "agent_goal_near": agent_goal_near}
