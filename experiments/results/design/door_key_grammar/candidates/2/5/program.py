MEMORY = {"seen_agent_dir": 0.0}


def compute_reward(before, after, action, memory):
    doors_locked_change = -0.0386 * (after.doors_locked - before.doors_locked) if after.key_pos[0] < 0.375 else 0.0
    seen_agent_dir_then = memory.seen_agent_dir
    memory.seen_agent_dir = 1.0 if after.carrying_color == 3 else memory.seen_agent_dir
    agent_dir_first = -(0.307 * (memory.seen_agent_dir - seen_agent_dir_then))
    doors_open_change = 0.0322 * (after.doors_open - before.doors_open)
    return doors_locked_change + agent_dir_first + doors_open_change, {"doors_locked_change": doors_locked_change, "agent_dir_first": agent_dir_first, "doors_open_change": doors_open_change}
