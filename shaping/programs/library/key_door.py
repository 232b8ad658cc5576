# A reference program, written for shapegym: the tabular key and door. Nothing can be lost again, so stages
# are paid as they come.


def compute_reward(before, after, action):
    if not before.has_key:
        target = before.key_pos
    elif before.agent_pos[1] < before.door_pos[1]:
        target = before.door_pos
    else:
        target = before.goal_pos
    near = 0.05 * (manhattan(before.agent_pos, target) - manhattan(after.agent_pos, target))
    key = 0.3 if after.has_key and not before.has_key else 0.0
    door = 0.5 if after.door_open and not before.door_open else 0.0
    return near + key + door, {"near": near, "key": key, "door": door}
