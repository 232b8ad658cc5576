"""What a design will cost at most, before it spends anything, and what it has cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.loop import Round
from shapegym.experiments.runs import costs as cost_file
from shapegym.shaping.asking.transcript import Exchange

LETTERS_A_TOKEN = 3.5
"""Of English and Python, roughly."""
TOKENS_A_SECOND = 30.0
"""That a model writes, roughly: a small one on a few cores writes 10, a hosted one 100."""
FRAMES_A_SECOND = 2_500.0
"""That a run trains with on one core, roughly: small networks, compiled environments."""
EVIDENCE_TOKENS = 700
"""What later rounds are told beside the first prompt."""


@dataclass(frozen=True)
class Cost:
    """What is spent.

    Attributes:
        calls: of the proposer.
        asked_tokens: that it reads.
        told_tokens: that it writes.
        frames: steps of the environment in training.
        minutes: on the clock.
    """

    calls: int
    asked_tokens: int
    told_tokens: int
    frames: int
    minutes: float

    def __str__(self) -> str:
        tokens = f"{self.asked_tokens:,} tokens read and {self.told_tokens:,} written"
        minutes = f"{self.minutes:.0f} minutes" if self.minutes >= 1 else "less than a minute"
        return f"{self.calls:,} calls, {tokens}, {self.frames:,} frames, {minutes}"


def plan_of(brief: Brief, first_prompt: int, workers: int) -> Cost:
    """Return what a design costs at most.

    Args:
        brief: what is designed.
        first_prompt: characters of the first request.
        workers: runs at a time.
    """
    preset = brief.preset
    programs = preset.rounds * preset.candidates
    calls = programs * (1 + preset.repairs) + preset.analyse * (preset.rounds - 1)
    reads = not brief.by_grammar
    asked = reads * int(calls * (first_prompt / LETTERS_A_TOKEN + EVIDENCE_TOKENS))
    told = reads * calls * brief.most_tokens
    frames = brief.most_runs * brief.steps
    training = frames / FRAMES_A_SECOND / max(1, min(workers, preset.candidates * len(brief.seeds)))
    return Cost(calls, asked, told, frames, (training + told / TOKENS_A_SECOND) / 60)


def spent_by(folder: Path, exchanges: Sequence[Exchange[Any]], rounds: Sequence[Round]) -> Cost:
    """Return what a design has cost, done at once or in several pieces; minutes are those of its runs and of its answers."""
    outcomes = [
        each.outcome for stage in rounds for each in stage.candidates if each.outcome and not each.same_as
    ]
    seconds = sum(each.seconds for each in exchanges)
    for outcome in outcomes:
        for run in outcome.runs:
            seconds += cost_file.read(folder / run).seconds
    return Cost(
        len(exchanges),
        sum(each.reply.asked_tokens for each in exchanges),
        sum(each.reply.told_tokens for each in exchanges),
        sum(outcome.frames for outcome in outcomes),
        seconds / 60,
    )
