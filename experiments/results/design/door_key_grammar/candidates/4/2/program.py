MEMORY = {"any_agent_key": 0.0, "best_agent_key": 0.0, "any_goal_pos_0": 0.0, "best_goal_pos_0": 0.0}


def compute_reward(before, after, action, memory):
    carrying_holds = -0.0367 if after.carrying == 1 else 0.0
    door_pos_0_nearer = -(0.00622 * (abs(before.agent_pos[0] - -2.12) - abs(after.agent_pos[0] - -0.312)))
    best_agent_key_then = memory.best_agent_key if memory.any_agent_key > 0.0 else distance(before.agent_pos, before.key_pos)
    memory.best_agent_key = min(best_agent_key_then, distance(after.agent_pos, after.key_pos))
    memory.any_agent_key = 1.0
    agent_key_record = 0.138 * (best_agent_key_then - memory.best_agent_key)
    best_goal_pos_0_then = memory.best_goal_pos_0 if memory.any_goal_pos_0 > 0.0 else before.goal_pos[0]
    memory.best_goal_pos_0 = max(best_goal_pos_0_then, after.goal_pos[0])
    memory.any_goal_pos_0 = 1.0
    goal_pos_0_record = -(0.0216 * (memory.best_goal_pos_0 - best_goal_pos_0_then))
    return carrying_holds + door_pos_0_nearer + agent_key_record + goal_pos_0_record, {"carrying_holds": carrying_holds, "door_pos_0_nearer": door_pos_0_nearer, "agent_key_record": agent_key_record, "goal_pos_0_record": goal_pos_0_record}
