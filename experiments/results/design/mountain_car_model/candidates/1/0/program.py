def compute_reward(before, after, action):
    if before.position > 0.5:
        near = 1.0
    elif before.height < after.height:
        near = 31.0
    else:
        near = 0.0

    engine = 0.2 * (action == 2)
    return near + engine, {"near": near, "engine": engine}
