def compute_reward(before, after, action):
    room_nearer = 0.00127 * (abs(before.room - 9.93) - abs(after.room - 9.93))
    return room_nearer, {"room_nearer": room_nearer}
