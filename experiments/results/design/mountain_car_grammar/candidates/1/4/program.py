def compute_reward(before, after, action):
    velocity_near = -(0.0134 * exp(-abs(after.velocity - 0.045) / 0.0039))
    return velocity_near, {"velocity_near": velocity_near}
