def compute_reward(before, after, action):
    if before.position > 0.5:
        near = -1.0
    elif action == 2 and not (before.height < after.height or before.position > after.position + 0.01):
        near = 0.3
    else:
        near = 0.0

    push = 0.2 if action == 2 else -0.2
    return near + push, {"near": near, "push": push}
