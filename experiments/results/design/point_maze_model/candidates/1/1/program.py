def compute_reward(before, after, action):
    if manhattan(before.agent_pos, before.goal_pos) == 0:
        return 1.0, {"done": True}

    near = -0.25 * (manhattan(before.agent_pos, after.agent_pos) - manhattan(after.agent_pos, before.goal_pos))

    if manhattan(before.agent_pos, after.agent_pos) > 4: 
        close_wall = False
    else:
        close_wall = True

    return near + close_wall, {"near": near, "close_wall": close_wall}
