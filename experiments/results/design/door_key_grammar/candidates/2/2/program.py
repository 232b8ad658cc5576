MEMORY = {"any_room": 0.0, "best_room": 0.0}


def compute_reward(before, after, action, memory):
    best_room_then = memory.best_room if memory.any_room > 0.0 else before.room
    memory.best_room = min(best_room_then, after.room)
    memory.any_room = 1.0
    room_record = 0.00639 * (best_room_then - memory.best_room)
    return room_record, {"room_record": room_record}
