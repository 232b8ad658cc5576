"""RL Zoo: its own training command with a YAML wrapper; its monitor then shows what was paid."""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent
with tempfile.TemporaryDirectory() as logs:
    command = [sys.executable, "-m", "rl_zoo3.train", "--algo", "ppo", "--env", "CartPole-v1", "--seed", "0"]
    command += [
        "--conf-file",
        str(here / "zoo.yml"),
        "-f",
        logs,
        "--eval-freq",
        "-1",
        "--gym-packages",
        "shapegym",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = []
    for path in Path(logs).rglob("*.monitor.csv"):
        with path.open() as file:
            next(file)  # a comment
            rows += list(csv.DictReader(file))
assert len(rows) > 5
# Undiscounted, an episode's potential adds -Phi of its first state, which CartPole draws from [-0.05, 0.05].
wrong = [row for row in rows if not 0 < abs(float(row["r"]) - 2 * int(row["l"])) <= 0.0501]
assert not wrong, wrong
print(f"rl_zoo3: {len(rows)} episodes, each paid twice its length and what the potential adds")
