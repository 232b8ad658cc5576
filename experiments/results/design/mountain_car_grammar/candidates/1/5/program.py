def compute_reward(before, after, action):
    velocity = 0.0231 * after.velocity
    return velocity, {"velocity": velocity}
