"""Uses shapegym from its wheel: .ci/run starts this away from the checkout, which cannot be imported."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym

import shapegym


def import_everything() -> None:
    """Imports each module, so a package that the wheel lacks cannot hide."""
    where = Path(shapegym.__file__)
    if not where.is_relative_to(sys.prefix):
        raise SystemExit(f"shapegym was imported from {where}, not from the wheel in {sys.prefix}")
    for module in pkgutil.walk_packages(shapegym.__path__, "shapegym."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def step_an_environment() -> None:
    """Makes an environment by a name that imports the package, single and vectorised."""
    ids = sorted(id for id in gym.registry if id.startswith("shapegym/"))
    env = gym.make(f"shapegym:{ids[0]}")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    lanes = gym.make_vec(ids[0], num_envs=4)
    lanes.reset(seed=0)
    lanes.step(lanes.action_space.sample())
    print(f"{len(ids)} environments; stepped {ids[0]} alone and on {lanes.num_envs} lanes")


def train() -> None:
    """Trains on a shaped reward for two rollouts."""
    reward = shapegym.TaskReward() + 0.1 * shapegym.CountBonus()
    model = shapegym.make_agent("PPO", "shapegym/Corridor-v0", reward, n_steps=16, batch_size=16, seed=0)
    model.learn(2 * 16 * model.n_envs)
    print(f"trained {type(model).__name__} for {model.num_timesteps} steps on a shaped reward")


def show_help() -> None:
    """Starts the command line both ways."""
    for command in ([Path(sys.prefix) / "bin" / "shapegym"], [sys.executable, "-m", "shapegym"]):
        subprocess.run([*command, "--help"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    import_everything()
    step_an_environment()
    train()
    show_help()
