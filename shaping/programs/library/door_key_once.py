# A reference program, written for shapegym: MiniGrid's DoorKey with bonuses that are paid once an episode,
# however often a key is picked up.

MEMORY = {"key": 0.0, "closest": 100.0}


def compute_reward(before, after, action, memory):
    key = 0.0
    if after.has_key and memory.key < 1:
        key = 0.3
        memory.key = 1.0

    door = 0.5 if after.doors_locked < before.doors_locked else 0.0

    goal = 0.0
    if after.agent_pos[0] > after.door_pos[0]:
        way = manhattan(after.agent_pos, after.goal_pos)
        if memory.closest < 100:
            goal = 0.05 * max(memory.closest - way, 0.0)
        memory.closest = min(memory.closest, way)

    return key + door + goal, {"key": key, "door": door, "goal": goal}
