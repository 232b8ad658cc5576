MEMORY = {"first_room": 0.0}


def compute_reward(before, after, action, memory):
    if before.room == 0:
        target = before.door_pos
    else:
        target = before.goal_pos
    near = 1.5 * (manhattan(before.agent_pos, target) - manhattan(after.agent_pos, target))
    door = 1.2 * (after.doors_open - before.doors_open)
    return (near + door, {'near': near, 'door': door})
