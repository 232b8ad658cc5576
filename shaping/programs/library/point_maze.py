# A reference program, written for shapegym: the point maze "u", whose goal lies behind a wall. What is left
# of the way, through the gap at the right, is measured before and after the step by the same rule: with two
# rules, going back and forth between them could pay.

GAP = (3.5, 2.5)


def compute_reward(before, after, action):
    behind = distance(GAP, before.goal_pos)
    if before.agent_pos[1] < 2.5:
        left_before = distance(before.agent_pos, GAP) + behind
    else:
        left_before = distance(before.agent_pos, before.goal_pos)
    if after.agent_pos[1] < 2.5:
        left_after = distance(after.agent_pos, GAP) + behind
    else:
        left_after = distance(after.agent_pos, after.goal_pos)
    near = 0.2 * (left_before - left_after)
    return near, {"near": near}
