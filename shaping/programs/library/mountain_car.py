# A reference program, written for shapegym: mountain car, with discrete or continuous pushes. Gained energy
# is paid, lost energy costs.


def compute_reward(before, after, action):
    hill = 0.0025 / 3.0 * (sin(3.0 * after.position) - sin(3.0 * before.position))
    speed = 0.5 * (after.velocity**2 - before.velocity**2)
    energy = 500.0 * (hill + speed)
    return energy, {"energy": energy}
