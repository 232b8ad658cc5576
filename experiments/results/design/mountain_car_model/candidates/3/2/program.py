def compute_reward(before, after, action):
    if before.height > after.height:
        height = 0.1
    else:
        height = -0.1

    if before.position < after.position:
        position = 0.1
    else:
        position = -0.1

    engine = 0.3 if action == 2 else 0.0

    return height + position + engine, {"height": height, "position": position, "engine": engine}
