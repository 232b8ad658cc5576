"""What it costs to ask while an agent trains: `python benchmarks/annotation.py [--seconds 0 1 10 60] [--blocking 0 0.1 1]`.

PPO on KeyCorridorS3R3 is paid for captions that an oracle labels (ONI-Retrieval). Agents take turns at learning in one process, a
rollout each: one whose labels were recorded before, so that nobody is asked; one for each latency whose questions a thread answers,
that many seconds a batch; and, apart from them, some that wait for every answer. Every round begins with new agents, which know
none of the labels. What counts is the median over the rounds of the ratio of speeds to that of the first in the same round, so
that a change in the machine's load falls on all; and the same by the time of this process, which on a machine with other work is
the more exact, and does not see what is waited for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from stable_baselines3.common.base_class import BaseAlgorithm

from shapegym import TaskReward, make_agent, wire
from shapegym.agents import torch_threads
from shapegym.agents.environments import make_vec_env
from shapegym.agents.settings import resolve_settings
from shapegym.shaping import Oracle, Recorded, oni
from shapegym.shaping.annotate.labellers import Labeller
from shapegym.shaping.evaluation.annotators import Annotator, Answer, Question, ThreadedAnnotator
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.evaluation.answers import Correspondence

ENV, LANES = "shapegym/MiniGrid-KeyCorridorS3R3-v0", 64
SETTINGS = {
    "n_steps": 128,
    "batch_size": 1024,
    "n_epochs": 4,
    "policy_kwargs": {"features_extractor_class": "symbols", "net_arch": [64]},
}
ORACLE = Oracle((("you see the * key", 1.0), ("you pick up *", 1.0), ("you open *", 1.0)))


class Slow(ThreadedAnnotator):
    """Answers in its thread, up to a hundred questions at a time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(self._answer_slowly, capacity=10_000, batch=100)
        self.seconds = seconds

    def _answer_slowly(self, questions: Sequence[Question]) -> Iterable[Answer]:
        time.sleep(self.seconds)
        return [Answer(each.id, ORACLE.answer(each.payload)) for each in questions]


class Blocking(Annotator):
    """Answers before it lets go on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._asked: list[Question] = []

    def submit(self, questions: Sequence[Question]) -> None:
        """Answer, slowly."""
        time.sleep(self.seconds)
        self._asked += questions

    def poll(self) -> list[Answer]:
        """Return the answers."""
        asked, self._asked = self._asked, []
        return [Answer(each.id, ORACLE.answer(each.payload)) for each in asked]


def agent(by: Labeller, answers: Correspondence | None) -> BaseAlgorithm:
    """An agent that has learned nothing."""
    venv = make_vec_env(ENV, LANES, seed=0, features=["caption"])
    model = make_agent("PPO", venv, seed=0, settings=resolve_settings("PPO", ENV, SETTINGS))
    return wire(model, TaskReward() + oni(by, weight=0.1), seed=0, answers=answers)


def speeds(model: BaseAlgorithm, rollouts: int) -> tuple[float, float]:
    """Let it learn; return frames per second on the clock, and of this process."""
    frames = rollouts * LANES * int(SETTINGS["n_steps"])  # type: ignore[call-overload]
    wall, used = time.perf_counter(), time.process_time()
    model.learn(frames)
    return frames / (time.perf_counter() - wall), frames / (time.process_time() - used)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="*", default=[0, 1, 10, 60])
    parser.add_argument("--blocking", type=float, nargs="*", default=[0, 0.1, 1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rollouts", type=int, default=2)
    given = parser.parse_args()
    ratios: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, torch_threads(1):
        log = Path(folder) / "answers.jsonl"
        speeds(agent(ORACLE, Correspondence(ORACLE.open(), AnswerLog(log))), given.rollouts)
        for _ in range(given.rounds):
            wall, used = speeds(agent(Recorded(str(log)), None), given.rollouts)
            asked: dict[str, Annotator] = {f"thread, {each:g} s": Slow(each) for each in given.seconds}
            asked |= {f"blocking, {each:g} s": Blocking(each) for each in given.blocking}
            for name, annotator in asked.items():
                found = speeds(agent(ORACLE, Correspondence(annotator)), given.rollouts)
                annotator.close()
                ratios.setdefault(name, []).append((found[0] / wall, found[1] / used))
    print(
        "| asked | frames/s, ratio to nobody asked | least | most | by the time of the process |\n|---|--:|--:|--:|--:|"
    )
    for name, pairs in ratios.items():
        clock = [pair[0] for pair in pairs]
        process = median(pair[1] for pair in pairs)
        print(f"| {name} | {median(clock):.3f} | {min(clock):.3f} | {max(clock):.3f} | {process:.3f} |")


if __name__ == "__main__":
    main()
