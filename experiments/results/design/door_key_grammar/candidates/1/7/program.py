def compute_reward(before, after, action):
    agent_goal_far = -0.0138 * distance(after.agent_pos, after.goal_pos) if after.key_pos[0] > 5.59 else 0.0
    return agent_goal_far, {"agent_goal_far": agent_goal_far}
