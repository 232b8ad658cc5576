MEMORY = {"any_agent_door": 0.0, "best_agent_door": 0.0}


def compute_reward(before, after, action, memory):
    best_agent_door_then = memory.best_agent_door if memory.any_agent_door > 0.0 else distance(before.agent_pos, before.door_pos)
    memory.best_agent_door = min(best_agent_door_then, distance(after.agent_pos, after.door_pos))
    memory.any_agent_door = 1.0
    agent_door_record = 0.00872 * (best_agent_door_then - memory.best_agent_door)
    return agent_door_record, {"agent_door_record": agent_door_record}
