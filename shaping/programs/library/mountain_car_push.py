# A reference program, written for shapegym: mountain car with three actions. A little for every push along
# the motion.


def compute_reward(before, after, action):
    along = (action - 1.0) * before.velocity
    push = 0.002 if along > 0 else 0.0
    return push, {"push": push}
