# A reference program, written for shapegym: MiniGrid's KeyCorridor. Key, locked door, a free hand; the object
# itself is the task's own reward.

MEMORY = {"key": 0.0, "free": 0.0}


def compute_reward(before, after, action, memory):
    near = 0.0
    if before.doors_locked > 0 and not before.has_key and not after.has_key:
        near = 0.03 * (
            manhattan(before.agent_pos, before.key_pos) - manhattan(after.agent_pos, after.key_pos)
        )

    key = 0.0
    if after.has_key and memory.key < 1:
        key = 0.3
        memory.key = 1.0

    door = 0.5 if after.doors_locked < before.doors_locked else 0.0

    hand = 0.0
    if after.doors_locked == 0 and not after.has_key and memory.free < 1:
        hand = 0.2
        memory.free = 1.0

    total = near + key + door + hand
    return total, {"near": near, "key": key, "door": door, "hand": hand}
