"""Runs other people's tools, unmodified, on shaped environments: ``python benchmarks/compat/run.py [TOOL ...]``.

Each tool gets a virtual environment of its own (under ``--keep``, or a temporary folder), with shapegym from this checkout and the
tool's version from the table below, and a script that trains and then holds what the tool stored to the expression. Prints a line
for each and exits with 1 if one fails. Takes a package index, a few gigabytes, and about a quarter of an hour for all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
CLEANRL = "https://github.com/vwxyzjn/cleanrl"
TOOLS = {
    "sbx": ["sbx-rl==0.28.0"],
    "rl_zoo3": ["rl_zoo3==2.9.2"],
    "cleanrl": ["tyro"],
    "torchrl": ["torchrl==0.14.1"],
    "tianshou": ["tianshou==2.0.1"],
    "skrl": ["skrl==2.1.1"],
    "rllib": ["ray[rllib]==2.60.0"],
    "supersuit": ["supersuit==3.11.0"],
}
# Those that run on Gymnasium 1: the others look for keys and wrappers of 0.29.
CLEANRL_SCRIPTS = ("ppo", "dqn", "c51")


def main() -> int:
    """Run the tools that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    parser.add_argument(
        "--keep", type=Path, help="folder for the virtual environments, made once and used again"
    )
    parser.add_argument("--cleanrl", type=Path, help=f"a clone of {CLEANRL}; cloned if not given")
    args = parser.parse_args()
    if unknown := set(args.tools) - set(TOOLS):
        parser.error(f"no such tool: {', '.join(sorted(unknown))}. Known: {', '.join(TOOLS)}")
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        for tool in args.tools or TOOLS:
            folder = args.keep or Path(temporary)
            try:
                python = environment(folder / tool, TOOLS[tool])
                commands = [[str(python), str(HERE / f"with_{tool}.py")]]
                if tool == "cleanrl":
                    commands = cleanrl(python, args.cleanrl, Path(temporary))
                lines = [line for command in commands for line in run(command, Path(temporary))]
            except subprocess.CalledProcessError as error:
                last = (error.stderr or error.stdout or "").splitlines()[-15:]
                lines = [f"FAILED: {' '.join(error.cmd)}", *last]
                failed.append(tool)
            print(f"{tool} ({', '.join(TOOLS[tool])})", *lines, sep="\n    ", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all as the expressions say")
    return bool(failed)


def environment(folder: Path, packages: list[str]) -> Path:
    """Return the Python of a virtual environment with this checkout and ``packages``; made only if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pins = (CHECKOUT / "constraints.txt").read_text().splitlines()
        torch = next(pin for pin in pins if pin.startswith("torch=="))
        run([*pip, torch, *packages, "--editable", str(CHECKOUT)], folder)
    return python


def cleanrl(python: Path, clone: Path | None, work: Path) -> list[list[str]]:
    """Return the commands of CleanRL's scripts, which are no package."""
    if clone is None:
        clone = work / "cleanrl"
        run(["git", "clone", "--quiet", "--depth", "1", CLEANRL, str(clone)], work)
    found = f"PYTHONPATH={HERE}{os.pathsep}{clone.resolve()}"
    scripts = [str(clone.resolve() / "cleanrl" / f"{name}.py") for name in CLEANRL_SCRIPTS]
    options = ["--env-id", "cleanrl_task:Shaped/CartPole-v1", "--total-timesteps", "1024"]
    return [["env", found, str(python), script, *options] for script in scripts]


def run(command: list[str], work: Path) -> list[str]:
    """Run a command with one thread; return the lines that a script prints about stored rewards."""
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=work, env=os.environ | threads, check=True, capture_output=True, text=True
    )
    return [
        line for line in done.stdout.splitlines() if "stored rewards" in line or line.startswith(tuple(TOOLS))
    ]


if __name__ == "__main__":
    sys.exit(main())
