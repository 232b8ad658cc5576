def compute_reward(before, after, action):
    if manhattan(before.agent_pos, before.goal_pos) == 0:
        return 1.0, {"done": True}
    else:
        return -1.0 * (manhattan(before.agent_pos, before.goal_pos)), {}
