def compute_reward(before, after, action):
    if before.position > after.position:
        return -0.15, {"position": -0.15}
    elif before.height < 0.4 and before.position <= after.position:
        return -0.2, {"height": -0.2, "position": -0.2}
    else:
        return -0.1, {"height": -0.1, "position": -0.1}
