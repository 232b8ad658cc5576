# A reference program, written for shapegym: mountain car's energy as a potential.


def potential(state):
    speed = 300.0 * state.velocity**2
    hill = 0.5 * sin(3.0 * state.position)
    return speed + hill, {"speed": speed, "hill": hill}
