def compute_reward(before, after, action):
    doors_open_nearer = 0.0229 * (abs(before.doors_open - 47.3) - abs(after.doors_open - 71.0))
    agent_door_nearer = 0.00424 * (distance(before.agent_pos, before.door_pos) - distance(after.agent_pos, after.door_pos))
    return doors_open_nearer + agent_door_nearer, {"doors_open_nearer": doors_open_nearer, "agent_door_nearer": agent_door_nearer}
