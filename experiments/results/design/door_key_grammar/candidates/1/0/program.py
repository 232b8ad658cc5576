def compute_reward(before, after, action):
    front_holds = (-0.0415 if after.front == 1 else 0.0) if after.agent_dir == 2 else 0.0
    return front_holds, {"front_holds": front_holds}
