MEMORY = {"best_agent_door": 0.0, "any_agent_door": 0.0}


def compute_reward(before, after, action, memory):
    agent_key_nearer = -0.122 * (distance(before.agent_pos, before.key_pos) - distance(after.agent_pos, after.key_pos))
    best_agent_door_then = memory.best_agent_door if memory.any_agent_door > 0.0 else distance(before.agent_pos, before.door_pos)
    memory.best_agent_door = min(best_agent_door_then, distance(after.agent_pos, after.door_pos))
    memory.any_agent_door = 1.0
    agent_door_record = 0.204 * (best_agent_door_then - memory.best_agent_door)
    return agent_key_nearer + agent_door_record, {"agent_key_nearer": agent_key_nearer, "agent_door_record": agent_door_record}
