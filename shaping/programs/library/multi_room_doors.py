# A reference program, written for shapegym: MiniGrid's MultiRoom with any number of rooms. Every door pays
# when it is opened the first time.

MEMORY = {"most": 0.0}


def compute_reward(before, after, action, memory):
    opened = 0.2 * max(after.doors_open - memory.most, 0.0)
    memory.most = max(memory.most, after.doors_open)
    return opened, {"opened": opened}
