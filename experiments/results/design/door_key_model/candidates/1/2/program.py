MEMORY = {'first_room': 0.0, 'key_held': False}

def compute_reward(before, after, action, memory):
    if before.room == memory.first_room:
        target = before.door_pos
    else:
        target = before.goal_pos
    near = manhattan(before.agent_pos, target)
    door = 0.2 * (after.doors_open - before.doors_open)
    key = 0.5 * (1 if after.has_key and (not memory.key_held) else 0.0) + 0.5 * (1 if before.key_pos != (-1, -1) or memory.key_held else 0.0)
    return (near + door + key, {'near': near, 'door': door, 'key': key})
