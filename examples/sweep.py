"""A comparison in Python: rewards times seeds, trained in processes, with a report and a paired test.

A sweep that was stopped goes on where it was when this is started again. Run it: python examples/sweep.py
"""

import shapegym as sg
from shapegym.experiments import compare, report, sweep
from shapegym.shaping.files.reward_files import to_data

nearer = sg.Potential(sg.Distance("features.agent_pos", "features.goal_pos", "l1"))
REWARDS = {
    "potential": sg.TaskReward() + 0.1 * nearer,
    "count": sg.TaskReward() + sg.CountBonus("features.agent_pos", beta=0.1),
}


def suite(steps):
    """Return what is compared, as data: the same as a YAML file. `shapegym suites` lists ready ones."""
    return {
        "title": "Does a potential help, and does a count bonus?",
        "seeds": 3,
        "settings": {"num_envs": 16, "n_steps": 64, "batch_size": 256},
        "eval": {"points": 4, "episodes": 16},
        "rewards": {"sparse": None} | {name: to_data(reward) for name, reward in REWARDS.items()},
        "tasks": {"rooms": {"env": "shapegym/FourRooms-v0", "steps": steps}},
    }


def main(folder="sweeps/example", steps=12_000, **options):
    """Train what is not trained yet, and return the page that says what came of it."""
    found = sweep(suite(steps), folder, **options)
    print(f"{len(found.rows)} of {found.jobs} runs are finished")
    for name in REWARDS:
        (comparison,) = compare(f"{folder}:{name}", f"{folder}:sparse", on="area")
        for task in comparison.tasks:
            gain = f"gain [{task.difference.low:.2f}, {task.difference.high:.2f}]"
            print(f"{name}: area under the success curve {task.a:.2f}, sparse {task.b:.2f}, {gain}")
    return report(folder)


if __name__ == "__main__":  # the processes import this file
    print(main())
