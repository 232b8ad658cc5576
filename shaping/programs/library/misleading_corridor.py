# A reference program, written for shapegym: the hackable corridor with coins. Coins pay nothing here; steps
# towards the goal do, and back again cost.


def compute_reward(before, after, action):
    near = 0.05 * (after.agent_pos[0] - before.agent_pos[0])
    return near, {"near": near}
