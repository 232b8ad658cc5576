MEMORY = {"any_room": 0.0, "best_room": 0.0}


def compute_reward(before, after, action, memory):
    best_room_then = memory.best_room if memory.any_room > 0.0 else before.room
    memory.best_room = min(best_room_then, after.room)
    memory.any_room = 1.0
    room_record = 0.00987 * (best_room_then - memory.best_room)
    doors_locked_change = -0.0276 * (after.doors_locked - before.doors_locked) if after.key_pos[0] < 4.69 else 0.0
    door_pos_0 = -0.0105 * after.door_pos[0]
    return room_record + doors_locked_change + door_pos_0, {"room_record": room_record, "doors_locked_change": doors_locked_change, "door_pos_0": door_pos_0}
