def compute_reward(before, after, action):
    agent_pos_0_square = 0.000997 * (after.agent_pos[0] * after.agent_pos[0])
    goal_pos_0_change = 0.0909 * (after.goal_pos[0] - before.goal_pos[0])
    return agent_pos_0_square + goal_pos_0_change, {"agent_pos_0_square": agent_pos_0_square, "goal_pos_0_change": goal_pos_0_change}
