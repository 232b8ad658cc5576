def compute_reward(before, after, action):
    if manhattan(before.agent_pos, before.goal_pos) == 0:
        return 1.0, {"distance": 0}
    else:
        return -0.3 * (manhattan(before.agent_pos, after.agent_pos) / manhattan(before.goal_pos, after.agent_pos)), \
               {"distance": manhattan(before.agent_pos, after.agent_pos)}
