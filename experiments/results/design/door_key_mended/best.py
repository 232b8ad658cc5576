MEMORY = {"seen_carrying": 0.0}


def compute_reward(before, after, action, memory):
    key_pos_0_far = -0.00293 * abs(after.key_pos[0] - -1.0)
    seen_carrying_then = memory.seen_carrying
    memory.seen_carrying = 1.0 if after.carrying == 5 else memory.seen_carrying
    carrying_first = 0.161 * (memory.seen_carrying - seen_carrying_then) if distance(after.agent_pos, after.goal_pos) < 5.38 else 0.0
    return key_pos_0_far + carrying_first, {"key_pos_0_far": key_pos_0_far, "carrying_first": carrying_first}
