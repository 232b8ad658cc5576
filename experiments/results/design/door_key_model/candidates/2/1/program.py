def compute_reward(before, after, action):
    near = 0.8 * (manhattan(before.agent_pos, after.agent_pos) - manhattan(after.agent_pos, before.agent_pos))
    door = 0.3 * (before.doors_open - after.doors_open)
    return near + door
