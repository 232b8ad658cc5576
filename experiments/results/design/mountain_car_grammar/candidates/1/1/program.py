def compute_reward(before, after, action):
    velocity = 0.0887 * after.velocity
    velocity_square = 0.902 * (after.velocity * after.velocity)
    return velocity + velocity_square, {"velocity": velocity, "velocity_square": velocity_square}
