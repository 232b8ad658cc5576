MEMORY = {"seen_has_key_2": 0.0}


def compute_reward(before, after, action, memory):
    part_1 = 0.0281 * -(0.0492 * (0.0 if not before.has_key and before.carrying_color == 5 else 1.45 * (after.key_pos == before.key_pos) if (after.key_pos != (-1.0, -1.0) and (not after.doors_locked)) and after.carrying_color > 0 else 0.0))
    seen_has_key_then_2 = memory.seen_has_key_2
    memory.seen_has_key_2 = 1.0 if after.has_key else memory.seen_has_key_2
    has_key_first_2 = 0.107 * (memory.seen_has_key_2 - seen_has_key_then_2)
    return part_1 + has_key_first_2, {"part_1": part_1, "has_key_first_2": has_key_first_2}
