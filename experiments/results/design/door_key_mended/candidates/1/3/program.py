MEMORY = {"first_room": 0.0, "any_doors_open": 0.0, "best_doors_open": 0.0}


def compute_reward(before, after, action, memory):
    was_first_room = memory.first_room
    memory.first_room = was_first_room
    near = 0.0011 * (manhattan(before.agent_pos, before.door_pos if before.room == was_first_room else before.goal_pos) - manhattan(after.agent_pos, before.door_pos if before.room == was_first_room else before.goal_pos))
    best_doors_open_then = memory.best_doors_open if memory.any_doors_open > 0.0 else before.doors_open
    memory.best_doors_open = max(best_doors_open_then, after.doors_open)
    memory.any_doors_open = 1.0
    doors_open_record = 0.0308 * (memory.best_doors_open - best_doors_open_then)
    return near + doors_open_record, {"near": near, "doors_open_record": doors_open_record}
