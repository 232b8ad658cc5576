def compute_reward(before, after, action):
    room_nearer = 0.00802 * (abs(before.room - 63.0) - abs(after.room - 63.0))
    return room_nearer, {"room_nearer": room_nearer}
