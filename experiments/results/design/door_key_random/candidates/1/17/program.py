def potential(state):
    carrying_holds = 1.75 if state.carrying == 5 else 0.0
    carrying_color_holds = 0.322 if state.carrying_color == 0 else 0.0
    has_key_holds = 0.114 if state.has_key else 0.0
    return carrying_holds + carrying_color_holds + has_key_holds, {"carrying_holds": carrying_holds, "carrying_color_holds": carrying_color_holds, "has_key_holds": has_key_holds}
