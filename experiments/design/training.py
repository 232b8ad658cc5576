"""Training the candidates of a round side by side, through the sweep machinery, and reading what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapegym.agents.programs.evidence import corners_of
from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.candidate import Candidate
from shapegym.experiments.design.failing import in_words, watch
from shapegym.experiments.design.loop import CANDIDATES, OUTCOME
from shapegym.experiments.design.outcome import Outcome, outcome_of
from shapegym.experiments.errors import DesignError
from shapegym.experiments.sweeps.entry import Watcher, sweep
from shapegym.experiments.sweeps.plan import run_path
from shapegym.experiments.sweeps.workspace import Workspace
from shapegym.shaping.errors import said_as
from shapegym.shaping.limited_files import read_object
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.programs.term import program_reward
from shapegym.shaping.programs.wall import Job, behind_wall

SWEEPS = "sweeps"
TASK = "task"
_STEPS = 8
"""Of a lane of made-up transitions, so that memory is tried too."""
WATCHED = 16
"""Episodes of the trained agent that are watched for what goes wrong."""

Watch = Callable[[Workspace], AbstractContextManager[Watcher]]


@dataclass(frozen=True)
class SweepTrainer:
    """Trains every candidate with every seed of its round.

    Attributes:
        folder: of the design; a round trains in ``sweeps/ROUND`` within it.
        brief: what is designed.
        abstraction: what programs may see.
        workers: runs at a time.
        watch: makes what is told of the sweep while it goes on.
        trust: may import the modules that the folder names.
    """

    folder: Path
    brief: Brief
    abstraction: Abstraction
    workers: int = 2
    watch: Watch | None = None
    trust: bool = False

    def train(self, number: int, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `shapegym.experiments.design.loop.Trainer`. What is finished in the folder is not trained again."""
        if candidates and all(_outcome_file(self.folder, each).is_file() for each in candidates):
            return [recorded(self.folder, each) for each in candidates]
        troubles = {each.id: self._behind_wall(each) for each in candidates}
        refused = [each.with_outcome(None, troubles[each.id]) for each in candidates if troubles[each.id]]
        return refused + self._trained(number, [each for each in candidates if not troubles[each.id]])

    def _behind_wall(self, candidate: Candidate) -> str:
        """Compile and try a program where it can do no harm, before it is compiled here; return what is wrong."""
        if self.brief.by_grammar:  # of our own making
            return ""
        program, sides = read_program(candidate.source, self.abstraction), corners_of(self.abstraction)
        values = {read: sides["before" if read[0] == "state" else read[0]][read[1]] for read in program.reads}
        columns = {read: rows.reshape(_STEPS, -1, *rows.shape[1:]) for read, rows in values.items()}
        tried = behind_wall(Job(candidate.source, self.abstraction, columns))
        return " ".join((*map(str, tried.complaints), tried.failure, tried.disagreement)).strip()

    def _trained(self, number: int, candidates: Sequence[Candidate]) -> list[Candidate]:
        if not candidates:
            return []
        place = f"{SWEEPS}/{number}"
        found = sweep(
            self._suite(number, candidates),
            self.folder / place,
            workers=self.workers,
            imports=self.brief.imports,
            trust=self.trust,
            watch=self.watch,
        )
        judged, seeds = [], self.brief.seeds_of(number)
        for candidate in candidates:
            ids = [f"{TASK}/{_strategy(candidate)}/{seed}" for seed in seeds]
            rows = {row.id: row for row in found.rows if row.id in ids}
            if lost := [each for each in ids if each not in rows]:
                trouble = found.failures.get(lost[0], "It was not trained.").strip().splitlines()[-1]
                judged.append(candidate.with_outcome(None, trouble[:500]))
                continue
            folders = [run_path(self.folder / place, each) for each in ids]
            seen = [end for folder in folders for end in watch(folder, self.abstraction, WATCHED)]
            names = [f"{place}/runs/{each}" for each in ids]
            failures = in_words(seen, self.abstraction)
            judged.append(
                candidate.with_outcome(outcome_of([rows[each] for each in ids], folders, failures, names))
            )
        return judged

    def _suite(self, number: int, candidates: Sequence[Candidate]) -> Mapping[str, Any]:
        brief = self.brief
        return {
            "title": f"Round {number} of a design for {brief.env}",
            "seeds": list(brief.seeds_of(number)),
            "algo": brief.algo,
            "settings": dict(brief.settings),
            "eval": {"points": brief.points, "episodes": brief.episodes},
            "checkpoints": 0,
            "rewards": {_strategy(each): program_reward(each.source) for each in candidates},
            "tasks": {TASK: {"env": brief.env, "steps": brief.steps, "env_kwargs": dict(brief.env_kwargs)}},
            "imports": list(brief.imports),
        }


@dataclass(frozen=True)
class RecordedTrainer:
    """Takes what came of programs from the folder of a design that was trained elsewhere.

    Attributes:
        folder: of that design.
    """

    folder: Path

    def train(self, number: int, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See `shapegym.experiments.design.loop.Trainer`."""
        return [recorded(self.folder, each) for each in candidates]


def recorded(folder: Path, candidate: Candidate) -> Candidate:
    """Return a candidate with the outcome that a folder has of it.

    Raises:
        DesignError: if it has none, or of another program.
    """
    path = _outcome_file(folder, candidate)
    data = read_object(path, DesignError, "outcome")
    if data.get("source") != candidate.source:
        raise DesignError(
            f"{path} is of another program than the one that this design writes for {candidate.id}."
        )
    with said_as(DesignError, ValueError, f"{path} is no outcome: "):
        outcome = None if data.get("outcome") is None else Outcome.from_data(data["outcome"])
    return candidate.with_outcome(outcome, str(data.get("trouble", "")))


def _outcome_file(folder: Path, candidate: Candidate) -> Path:
    return folder / CANDIDATES / candidate.id / OUTCOME


def _strategy(candidate: Candidate) -> str:
    return f"c{candidate.number}"
