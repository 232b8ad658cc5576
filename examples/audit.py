"""A reward that is audited before anything is trained on it: is there behaviour that pays more than solving the task?

The boat race is a finite task, so the answers are exact; elsewhere they are estimated from recordings and searched on snapshots.
Run it: python examples/audit.py
"""

import shapegym as sg
from shapegym.agents.finite.tabulate import tabulate
from shapegym.experiments.audit.evidence import audit
from shapegym.shaping.audit import starc

RACE = "shapegym/BoatRace-v0"
REWARDS = {
    "pays for arrows": sg.TaskReward() + sg.Event("features.event", 0.5, equals=1),
    "pays for progress": sg.TaskReward() + sg.Potential("features.progress"),
}


def main(gamma=0.99):
    """Print what each reward asks for, and return whether it is sound."""
    sound = {}
    for name, reward in REWARDS.items():
        found = audit(RACE, reward, gamma)  # what `shapegym audit` shows
        sound[name] = found.sound
        print(f"{name}: {found.verdict}")
        print(f"  it {found.claimed}; {'; '.join(found.losses) or 'nothing is lost on the way'}")
        for step in found.exploit.turn if found.exploit else ():
            print(
                f"  round and round: {step.at}, {step.action}, pays {step.shaped:g}, the task {step.task:g}"
            )
        tables = tabulate(RACE, reward, gamma)  # the arrays that it looked at, for questions of your own
        distance = starc(tables.P, tables.task, tables.shaped, gamma, terminal=tables.terminal)
        print(f"  STARC distance to the task: {distance:.3f}")
    return sound


if __name__ == "__main__":
    main()
