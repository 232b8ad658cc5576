# A reference program, written for shapegym: mountain car with continuous pushes. A little for what of a push goes
# along the motion.


def compute_reward(before, after, action):
    push = 0.002 * action[0] if before.velocity > 0 else -0.002 * action[0]
    return push, {"push": push}
