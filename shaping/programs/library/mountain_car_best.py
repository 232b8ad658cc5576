# A reference program, written for shapegym: mountain car. The highest energy so far is what counts, so
# swinging without gain pays nothing.

MEMORY = {"best": -1.0}


def compute_reward(before, after, action, memory):
    energy = 0.5 * after.velocity**2 + 0.0025 / 3.0 * sin(3.0 * after.position)
    gain = 500.0 * max(energy - memory.best, 0.0) if memory.best > -1 else 0.0
    memory.best = max(memory.best, energy)
    return gain, {"gain": gain}
