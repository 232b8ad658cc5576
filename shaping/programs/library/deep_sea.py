# A reference program, written for shapegym: deep sea. Whoever leaves the diagonal has lost the treasure, so
# that costs.


def compute_reward(before, after, action):
    lag_before = before.agent_pos[0] - before.agent_pos[1]
    lag_after = after.agent_pos[0] - after.agent_pos[1]
    diagonal = -0.05 * max(lag_after - lag_before, 0.0)
    return diagonal, {"diagonal": diagonal}
