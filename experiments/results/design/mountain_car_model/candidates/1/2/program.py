def compute_reward(before, after, action):
    # The car should be at the flag position and still moving forward
    if after.position > before.goal_position and abs(after.velocity) < 0.1:
        return -1.0, {"near": -1.0}
    else:
        return -0.5 + (after.height - 0.6) / 0.2, {"near": -0.5 + (after.height - 0.6) / 0.2}
