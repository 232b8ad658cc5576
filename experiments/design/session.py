"""A design from its brief to its best program: what is needed is put together here, run, and written up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shapegym.agents.programs.abstracting import abstraction_of
from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.costs import Cost, plan_of, spent_by
from shapegym.experiments.design.designer import Designer
from shapegym.experiments.design.folder import DesignFolder, held
from shapegym.experiments.design.grammar_proposer import GrammarProposer
from shapegym.experiments.design.judging import TaskCritic
from shapegym.experiments.design.loop import Round, Tell, Trainer, run_design
from shapegym.experiments.design.proposer import Proposal, Proposer
from shapegym.experiments.design.report import report_of
from shapegym.experiments.design.training import RecordedTrainer, SweepTrainer, Watch
from shapegym.experiments.runs.run_folder import write_text
from shapegym.shaping.asking.transcript import Budget, Transcript
from shapegym.shaping.discovery import import_modules
from shapegym.shaping.errors import UnansweredError
from shapegym.shaping.programs.abstraction import Abstraction

REPORT = "report.md"


@dataclass
class Session:
    """One go at a design.

    Attributes:
        folder: of the design, begun.
        proposer: who writes; None replays.
        person: who comments; None: nobody.
        budget: of the proposer.
        workers: runs at a time.
        recorded: folder whose outcomes are taken over instead of training.
        watch: makes what is told of each sweep.
        trust: may import the modules that the folder names.
    """

    folder: DesignFolder
    proposer: Proposer | None
    person: Proposer | None = None
    budget: Budget = field(default_factory=Budget)
    workers: int = 2
    recorded: Path | None = None
    watch: Watch | None = None
    trust: bool = False
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        brief = self.folder.brief
        import_modules(brief.imports, "The design", beside=True)
        self.abstraction = abstraction_for(brief)
        self.transcript = Transcript(self.folder.exchanges, self.proposer, Proposal, self.budget)
        mender = None if self.proposer is None else GrammarProposer(self.abstraction)
        self.designer = Designer(
            brief,
            self.abstraction,
            TaskCritic(brief.env, brief.env_kwargs, self.abstraction),
            self.folder.prompts,
            self.transcript,
            self.folder.examples,
            Transcript(self.folder.mends, mender, Proposal),
            self.person,
        )

    @property
    def plan(self) -> Cost:
        """What it costs at most."""
        return plan_of(
            self.folder.brief,
            sum(len(each.content) for each in self.designer.opening) + len(self.designer.first_prompt),
            self.workers,
        )

    @property
    def spent(self) -> Cost:
        """What it has cost so far, in all goes."""
        return spent_by(self.folder.path, self.transcript.exchanges, self.rounds)

    def run(self, tell: Tell) -> list[Round]:
        """Run what is left, and write the report, also where it is broken off.

        Raises:
            UnansweredError: if nobody answers any more, with what is there kept.
        """

        def note(news: Any) -> None:
            if isinstance(news, Round):
                self.rounds.append(news)
            tell(news)

        try:
            with held(self.folder.path):
                run_design(self.folder.path, self.designer, self._trainer(), note)
        except UnansweredError as error:
            self._report(str(error))
            raise
        self._report()
        return self.rounds

    def _report(self, trouble: str = "") -> None:
        report = report_of(self.folder.brief, self.designer.task, self.rounds, self.spent, trouble)
        write_text(self.folder.path / REPORT, report)

    def _trainer(self) -> Trainer:
        if self.recorded is not None:
            return RecordedTrainer(self.recorded)
        return SweepTrainer(
            self.folder.path, self.folder.brief, self.abstraction, self.workers, self.watch, self.trust
        )


def abstraction_for(brief: Brief) -> Abstraction:
    """Return what programs of a design may see."""
    return abstraction_of(brief.env, brief.env_kwargs, brief.features)


def grammar_for(brief: Brief) -> GrammarProposer:
    """Return the grammar over what programs of a design may see."""
    return GrammarProposer(abstraction_for(brief))
