MEMORY = {"seen_front_2": 0.0, "seen_has_key_2": 0.0}


def compute_reward(before, after, action, memory):
    door_pos_0_nearer = -(0.00405 * (abs(before.agent_pos[0] - -13.7) - abs(after.agent_pos[0] - -0.0578)))
    seen_front_then_2 = memory.seen_front_2
    memory.seen_front_2 = 1.0 if after.front == 8 else memory.seen_front_2
    front_first_2 = 0.5 * (memory.seen_front_2 - seen_front_then_2) if after.agent_dir == 0 else 0.0
    seen_has_key_then_2 = memory.seen_has_key_2
    memory.seen_has_key_2 = 1.0 if after.has_key else memory.seen_has_key_2
    has_key_first_2 = 0.129 * (memory.seen_has_key_2 - seen_has_key_then_2)
    return door_pos_0_nearer + front_first_2 + has_key_first_2, {"door_pos_0_nearer": door_pos_0_nearer, "front_first_2": front_first_2, "has_key_first_2": has_key_first_2}
