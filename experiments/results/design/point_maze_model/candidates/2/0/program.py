def compute_reward(before, after, action):
    near = 0.05 * (manhattan(before.agent_pos, before.goal_pos) - manhattan(after.agent_pos, before.goal_pos))
    return near, {"near": near}
