def compute_reward(before, after, action):
    goal_pos_0_change = -(-0.03 * (after.agent_pos[0] - before.agent_pos[0]) if distance(after.agent_pos, after.key_pos) > 5.05 else 0.0)
    return goal_pos_0_change, {"goal_pos_0_change": goal_pos_0_change}
