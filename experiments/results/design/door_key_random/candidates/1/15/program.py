def potential(state):
    has_key_holds = 2.54 if state.has_key else 0.0
    room = 0.0111 * state.room
    front_holds = 1.44 if state.front == 5 else 0.0
    return has_key_holds + room + front_holds, {"has_key_holds": has_key_holds, "room": room, "front_holds": front_holds}
