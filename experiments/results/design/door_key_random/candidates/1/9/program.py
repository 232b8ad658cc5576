MEMORY = {"best_goal_key": 0.0, "any_goal_key": 0.0}


def compute_reward(before, after, action, memory):
    best_goal_key_then = memory.best_goal_key if memory.any_goal_key > 0.0 else distance(before.goal_pos, before.key_pos)
    memory.best_goal_key = min(best_goal_key_then, distance(after.goal_pos, after.key_pos))
    memory.any_goal_key = 1.0
    goal_key_record = 0.136 * (best_goal_key_then - memory.best_goal_key)
    agent_dir_begins = 0.112 if after.agent_dir == 3 and (not before.agent_dir == 3) else 0.0
    front_holds = -0.213 if after.front == 5 else 0.0
    has_key_begins = 0.22 if after.has_key and (not before.has_key) else 0.0
    return goal_key_record + agent_dir_begins + front_holds + has_key_begins, {"goal_key_record": goal_key_record, "agent_dir_begins": agent_dir_begins, "front_holds": front_holds, "has_key_begins": has_key_begins}
