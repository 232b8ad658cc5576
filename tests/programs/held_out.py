"""Programs that the critic was not made with: for tasks of which the library has none, written after it."""

from __future__ import annotations

from shapegym.shaping.programs.references import Reference

_SOURCES = {
    ("four_rooms", "shapegym/FourRooms-v0"): """
def compute_reward(before, after, action):
    closer = 0.02 * (manhattan(before.agent_pos, before.goal_pos) - manhattan(after.agent_pos, after.goal_pos))
    last_room = 0.2 * ((after.room == 3) - (before.room == 3))
    return closer + last_room, {"closer": closer, "last_room": last_room}
""",
    ("river_swim", "shapegym/RiverSwim-v0"): """
def compute_reward(before, after, action):
    upstream = 0.05 * (after.agent_pos[0] - before.agent_pos[0])
    return upstream, {"upstream": upstream}
""",
    ("open_grid", "shapegym/OpenGrid-v0"): """
def potential(state):
    rows = abs(state.goal_pos[0] - state.agent_pos[0])
    columns = abs(state.goal_pos[1] - state.agent_pos[1])
    near = -0.1 * (rows + columns)
    return near, {"near": near}
""",
    ("lock", "shapegym/CombinationLock-v0"): """
def compute_reward(before, after, action):
    digit = 0.0
    if after.progress > before.progress:
        digit = 0.1
    elif after.progress < before.progress:
        digit = -0.1 * (before.progress - after.progress)
    return digit, {"digit": digit}
""",
    ("corridor", "shapegym/Corridor-v0"): """
MEMORY = {"farthest": 0.0}

def compute_reward(before, after, action, memory):
    record = 0.02 * max(0.0, after.agent_pos[0] - memory.farthest)
    memory.farthest = max(memory.farthest, after.agent_pos[0])
    return record, {"record": record}
""",
    ("unlock", "shapegym/MiniGrid-Unlock-v0"): """
def compute_reward(before, after, action):
    key = 0.3 * (after.has_key - before.has_key)
    if before.has_key and after.has_key:
        way = 0.02 * (manhattan(before.agent_pos, before.door_pos) - manhattan(after.agent_pos, after.door_pos))
    elif not before.has_key and not after.has_key:
        way = 0.02 * (manhattan(before.agent_pos, before.key_pos) - manhattan(after.agent_pos, after.key_pos))
    else:
        way = 0.0
    return key + way, {"key": key, "way": way}
""",
    ("lava_gap", "shapegym/MiniGrid-LavaGapS5-v0"): """
def compute_reward(before, after, action):
    closer = 0.05 * (after.agent_pos[0] - before.agent_pos[0])
    burnt = -0.5 if before.front == 9 and action == 2 else 0.0
    return closer + burnt, {"closer": closer, "burnt": burnt}
""",
    ("empty", "shapegym/MiniGrid-Empty-Random-6x6-v0"): """
def compute_reward(before, after, action):
    step = 0.05 * (manhattan(before.agent_pos, before.goal_pos) - manhattan(after.agent_pos, after.goal_pos))
    sees = 0.05 * ((after.front == 8) - (before.front == 8))
    return step + sees, {"step": step, "sees": sees}
""",
    ("goal_maze", "shapegym/PointMazeOpen-v0"): """
def potential(state):
    near = exp(-distance(state.agent_pos, state.goal_pos))
    return near, {"near": near}
""",
}
HELD_OUT = tuple(
    Reference(name, env, name, "held out", (), source.lstrip()) for (name, env), source in _SOURCES.items()
)
