MEMORY = {"first_room": 0.0}


def compute_reward(before, after, action, memory):
    if before.room == memory.first_room:
        target = before.door_pos
    else:
        target = before.goal_pos
    near = 0.5 * (manhattan(before.agent_pos, target) - manhattan(after.agent_pos, target))
    door = 0.25 * (after.doors_open - before.doors_open)
    return (near + door, {'near': near, 'door': door})
