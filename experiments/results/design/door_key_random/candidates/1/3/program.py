MEMORY = {"best_room": 0.0, "any_room": 0.0, "seen_agent_dir": 0.0}


def compute_reward(before, after, action, memory):
    best_room_then = memory.best_room if memory.any_room > 0.0 else before.room
    memory.best_room = min(best_room_then, after.room)
    memory.any_room = 1.0
    room_record = 0.00299 * (best_room_then - memory.best_room)
    doors_locked_change = -0.0276 * (after.doors_locked - before.doors_locked) if after.agent_pos[0] < 4.69 else 0.0
    seen_agent_dir_then = memory.seen_agent_dir
    memory.seen_agent_dir = 1.0 if after.agent_dir == 3 else memory.seen_agent_dir
    agent_dir_first = 0.114 * (memory.seen_agent_dir - seen_agent_dir_then)
    front_holds = 0.0157 if before.front == 2 else 0.0
    return room_record + doors_locked_change + agent_dir_first + front_holds, {"room_record": room_record, "doors_locked_change": doors_locked_change, "agent_dir_first": agent_dir_first, "front_holds": front_holds}
