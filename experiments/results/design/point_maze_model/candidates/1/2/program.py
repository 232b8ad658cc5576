def compute_reward(before, after, action):
    target = before.goal_pos
    near = 0.1 * (manhattan(before.agent_pos, target) - manhattan(after.agent_pos, target))
    return near + 0.0, {"near": near}
