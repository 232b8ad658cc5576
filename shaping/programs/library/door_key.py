# A reference program, written for shapegym: MiniGrid's DoorKey, and any task of one key and one door in a
# wall from top to bottom. Every part is a difference of two sides, so what is paid on the way is paid back on
# the way back.


def compute_reward(before, after, action):
    if before.doors_locked > 0 and not before.has_key:
        target = before.key_pos
    elif before.agent_pos[0] < before.door_pos[0]:
        target = before.door_pos
    else:
        target = before.goal_pos
    near = 0.05 * (manhattan(before.agent_pos, target) - manhattan(after.agent_pos, target))

    if after.has_key and not before.has_key:
        key = 0.3
    elif before.has_key and not after.has_key:
        key = -0.3
    else:
        key = 0.0

    door = 0.5 if after.doors_locked < before.doors_locked else 0.0
    return near + key + door, {"near": near, "key": key, "door": door}
