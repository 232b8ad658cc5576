"""A design without training: a small task, a critic of one rule, outcomes that follow from the text of a program."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.candidate import Candidate
from shapegym.experiments.design.designer import Designer
from shapegym.experiments.design.folder import MENDS
from shapegym.experiments.design.grammar_proposer import GrammarProposer
from shapegym.experiments.design.outcome import Course, Outcome
from shapegym.experiments.design.preset import load_preset
from shapegym.experiments.design.prompting import Prompts
from shapegym.experiments.design.proposer import Proposal, Proposer
from shapegym.shaping.asking.transcript import EXCHANGES, Budget, Transcript
from shapegym.shaping.programs.abstraction import Abstraction, Feature
from shapegym.shaping.programs.critic import Criticism, Finding

SEEN = Abstraction(
    "Reach the goal.",
    (
        Feature("x", 0, "number", -1.0, 1.0),
        Feature("pos", 2, "number", 0.0, 1.0),
        Feature("held", 0, "truth"),
    ),
    Feature("action", 0, "whole", 0, 2),
)


class Picky:
    """Blames what reads ``pos``, and finds that a ``gain`` leads."""

    def criticise(self, source: str) -> Criticism:
        blamed = (Finding("pos", "error", "It reads pos.", 2),) if "pos" in source else ()
        return Criticism(blamed, guidance=0.9 if "gain" in source else 0.1)


class Pretending:
    """Makes up what comes of a program, from its text; counts what it was asked to train."""

    def __init__(self) -> None:
        self.trained: list[str] = []

    def train(self, number: int, candidates: Sequence[Candidate]) -> list[Candidate]:
        self.trained += [each.id for each in candidates]
        return [each.with_outcome(pretended(each.source)) for each in candidates]


def pretended(source: str) -> Outcome:
    value = int(hashlib.sha256(source.encode()).hexdigest()[:4], 16) / 0xFFFF
    course = Course((value,) * 10, value, value, value)
    return Outcome(
        (value, 0.0, 1.0), (value, value, value), {"success": course}, ("- x was 0.5.",), frames=100
    )


def designer_for(
    folder, proposer: Proposer | None, preset: str = "eureka", budget: Budget | None = None, **changes
) -> Designer:
    brief = Brief(
        "shapegym/Corridor-v0", load_preset(preset, **{"guidance": 0.0, "mends": 0, **changes}), 100
    )
    folder.mkdir(exist_ok=True)
    transcript = Transcript(folder / EXCHANGES, proposer, Proposal, budget or Budget())
    mender = None if proposer is None else GrammarProposer(SEEN)
    mends = Transcript(folder / MENDS, mender, Proposal)
    return Designer(brief, SEEN, Picky(), Prompts.read(), transcript, mends=mends)
