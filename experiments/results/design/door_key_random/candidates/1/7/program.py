def compute_reward(before, after, action):
    agent_dir_holds = 0.0138 if after.agent_dir == 1 else 0.0
    agent_goal_near = 0.00899 * exp(-distance(after.agent_pos, after.goal_pos) / 4.94)
    agent_goal_far = -0.0138 * distance(after.agent_pos, after.goal_pos) if after.key_pos[0] > 5.59 else 0.0
    return agent_dir_holds + agent_goal_near + agent_goal_far, {"agent_dir_holds": agent_dir_holds, "agent_goal_near": agent_goal_near, "agent_goal_far": agent_goal_far}
