def compute_reward(before, after, action):
    position = 0.0434 * after.position if after.velocity > -0.0404 else 0.0
    height = 0.06 * after.height
    return position + height, {"position": position, "height": height}
