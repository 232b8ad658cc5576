"""RL Zoo: its own training command with a YAML wrapper, and a witness outside of it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent
with tempfile.TemporaryDirectory() as logs:
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "ppo", "--env", "CartPole-v1", "--seed", "0"]
    command += ["--conf-file", str(here / "zoo.yml"), "-f", logs, "--eval-freq", "-1"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(here)})
