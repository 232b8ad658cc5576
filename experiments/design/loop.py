"""The loop: designer and critic write the candidates of a round, they are trained side by side, and the next one hears of it.

A design is a function of its brief, of the answers in its transcript, and of its runs; they are on the disk as soon as they are
there. So it has no state of its own. To go on after it was killed is to begin anew: what was asked is not asked again, what was
trained is not trained again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from shapegym.experiments.design.breeding import asks_of
from shapegym.experiments.design.candidate import Candidate, History, best_of
from shapegym.experiments.design.designer import Designer, same_program
from shapegym.experiments.plain import finite
from shapegym.experiments.runs.run_folder import write_text

CANDIDATES, ROUNDS, BEST = "candidates", "rounds.jsonl", "best.py"
PROGRAM, FINDINGS, OUTCOME = "program.py", "findings.json", "outcome.json"


class Trainer(Protocol):
    """Whoever finds out what comes of programs."""

    def train(self, number: int, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates of a round, each with its outcome, or why it has none."""


@dataclass(frozen=True)
class Round:
    """What a round came to."""

    number: int
    candidates: tuple[Candidate, ...]
    best: Candidate | None  # of all rounds so far; of the finalists, once they were trained

    def as_row(self) -> dict[str, Any]:
        """Return it as a line of ``rounds.jsonl``."""
        return {
            "round": self.number,
            "best": None if self.best is None else self.best.id,
            "candidates": [each.as_row() for each in self.candidates],
        }


Tell = Callable[[Candidate | Round], None]
"""Told of every candidate that was written, and of every round that was trained."""


def run_design(
    folder: Path, designer: Designer, trainer: Trainer, tell: Tell = lambda _: None
) -> list[Round]:
    """Run all rounds, or what is left of them, and return them; the last is that of the finalists, if there are to be any.

    Args:
        folder: of the design.
        designer: who writes.
        trainer: who trains.
        tell: told what goes on.

    Raises:
        UnansweredError: if nobody answers any more; what was finished stays, and the design can go on.
    """
    brief, history = designer.brief, History()
    rounds: list[Round] = []

    def keep(done: Sequence[Candidate], best: Candidate | None) -> None:
        for candidate in done:
            _keep_outcome(folder, candidate)
        rounds.append(Round(len(rounds) + 1, tuple(done), best))
        _keep_rounds(folder, rounds)
        tell(rounds[-1])

    for number in range(1, brief.preset.rounds + 1):
        designer.prepare(number, history)
        written: list[Candidate] = []
        for place, ask in enumerate(asks_of(brief.preset, number, history, brief.seed)):
            candidate = _unless_known(
                designer.write(number, place, ask, history), [*history.candidates, *written]
            )
            _keep_program(folder, candidate)
            written.append(candidate)
            tell(candidate)
        trained = {each.id: each for each in trainer.train(number, worth_training(written))}
        done = [trained.get(each.id, each) for each in written]
        known = {each.id: each for each in (*history.candidates, *done)}
        done = [_with_outcome_of_same(each, known) for each in done]
        history.candidates.extend(done)
        keep(done, history.best)
    if finalists := finalists_of(history, brief.preset.finalists):
        number = brief.preset.rounds + 1
        again = [each.again(number, place) for place, each in enumerate(finalists)]
        for candidate in again:
            _keep_program(folder, candidate)
        trained = {each.id: each for each in trainer.train(number, again)}
        done = [trained[each.id] for each in again]
        keep(done, best_of(done) or history.best)
    return rounds


def finalists_of(history: History, many: int) -> list[Candidate]:
    """Return the programs with the best outcomes, the best first."""
    trained = [each for each in history.judged if not each.same_as]
    return sorted(trained, key=lambda each: each.merit, reverse=True)[:many]


def worth_training(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are trained: those without errors; where all have some, those that can be read."""
    readable = [each for each in candidates if each.source and not each.same_as]
    return [each for each in readable if each.attempt.rank[1] == 0] or readable


def _unless_known(candidate: Candidate, earlier: Sequence[Candidate]) -> Candidate:
    """A candidate, marked if one before has the same program."""
    if not candidate.source:
        return candidate
    twin = next(
        (each for each in earlier if each.source and same_program(each.source, candidate.source)), None
    )
    return candidate if twin is None else replace(candidate, same_as=twin.same_as or twin.id)


def _with_outcome_of_same(candidate: Candidate, known: dict[str, Candidate]) -> Candidate:
    if not candidate.same_as:
        return candidate
    twin = known[candidate.same_as]
    return candidate.with_outcome(twin.outcome, twin.trouble)


def _keep_program(folder: Path, candidate: Candidate) -> None:
    place = folder / CANDIDATES / candidate.id
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / FINDINGS, as_json(candidate.as_findings()))
    write_text(
        place / PROGRAM,
        candidate.source or "# No answer could be read as a program; findings.json says why.\n",
    )


def _keep_outcome(folder: Path, candidate: Candidate) -> None:
    outcome = None if candidate.outcome is None else candidate.outcome.as_data()
    data = {"source": candidate.source, "trouble": candidate.trouble, "outcome": outcome}
    write_text(folder / CANDIDATES / candidate.id / OUTCOME, as_json(data))


def _keep_rounds(folder: Path, rounds: Sequence[Round]) -> None:
    write_text(folder / ROUNDS, "".join(json.dumps(finite(each.as_row())) + "\n" for each in rounds))
    if (best := rounds[-1].best) is not None:
        write_text(folder / BEST, best.source)


def as_json(data: Any) -> str:
    """Return data as the text of a file."""
    return json.dumps(finite(data), indent=1) + "\n"
