"""Designer and critic: a program is asked for, read, blamed, and goes back to be mended, a bounded number of times."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.candidate import Ask, Attempt, Candidate, History, least_blamed
from shapegym.experiments.design.prompting import Prompts
from shapegym.experiments.design.proposer import Proposal, Proposer
from shapegym.experiments.design.reply import read_reply
from shapegym.experiments.design.signs import with_fixed_magnitudes
from shapegym.shaping.asking.chat import Message
from shapegym.shaping.asking.transcript import Transcript
from shapegym.shaping.digests import digest_of
from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.critic.criticise import Criticism
from shapegym.shaping.programs.language.complaint import ProgramError
from shapegym.shaping.programs.program import read_program
from shapegym.shaping.written import cut

LONGEST_FAULTS = 2_500
LONGEST_ANSWER = 3_000
LONGEST_ANALYSIS = 800
"""Characters that go into the next prompt."""
LEADS_NOWHERE = (
    "It leads an agent that follows it alone, and acts by chance where it says nothing, {:.0%} of the way. Pay the steps that lead "
    "to the solution, all of them."
)


@dataclass(frozen=True)
class Precedent:
    """A program that is shown as an example.

    Attributes:
        task: what its agent is to do.
        stub: what it may see (`Abstraction.stub`).
        source: its text.
    """

    task: str
    stub: str
    source: str


class Critic(Protocol):
    """Whoever says what is wrong with a program that can be read."""

    def criticise(self, source: str) -> Criticism:
        """Return what is wrong, and how far it leads, the same whenever it is asked."""


@dataclass
class Designer:
    """Asks for programs, and hears the critic.

    Attributes:
        brief: what is designed.
        abstraction: what programs may see.
        critic: says what is wrong.
        prompts: how it is asked.
        transcript: who is asked.
        examples: reference programs of other tasks, which are told as turns of the conversation.
        mends: the grammar, asked to change what is still blamed after the repairs; None asks nobody.
        person: says what an agent should do otherwise; None asks nobody.
    """

    brief: Brief
    abstraction: Abstraction
    critic: Critic
    prompts: Prompts
    transcript: Transcript[Proposal]
    examples: Sequence[Precedent] = ()
    mends: Transcript[Proposal] | None = None
    person: Proposer | None = None
    _advice: dict[int, str] = field(default_factory=dict)

    def prepare(self, number: int, history: History) -> None:
        """Ask once, before the programs of a round, what a person or an analyst says of the best agent so far."""
        self._advice[number] = ""
        best = history.best
        if best is None or best.outcome is None:
            return
        evidence = evidence_of(best)
        steps = f"{self.brief.steps:,}"
        if self.brief.preset.analyse and best.outcome.failures:
            said = self.prompts.say("analyse", task=self.task, steps=steps, evidence=evidence)
            request = self._request("analyse", f"{number}/analysis", (Message("user", said),), (best.source,))
            self._advice[number] = cut(
                self.transcript.ask(f"{number}/analysis", request).text.strip(), LONGEST_ANALYSIS
            )
        if self.brief.preset.improve == "feedback" and self.person is not None:
            request = self._request(
                "analyse", f"{number}/person", (Message("user", evidence),), (best.source,)
            )
            said = self.transcript.ask(f"{number}/person", request, self.person).text.strip()
            self._advice[number] = cut(said, LONGEST_ANALYSIS)

    def write(self, number: int, place: int, ask: Ask, history: History) -> Candidate:
        """Return one candidate of a round: the first answer, and mended ones while the critic blames it and the preset allows."""
        messages = self._messages(ask, number, history)
        parents = tuple(history[parent].source for parent in ask.parents)
        request = self._request(ask.kind, f"{number}/{place}/0", messages, parents)
        attempts: list[Attempt] = []
        for turn in range(self.brief.preset.repairs + 1):
            reply = self.transcript.ask(f"{number}/{place}/{turn}", request)
            attempt = self._examine(reply.text) if not reply.refused else Attempt(complaints=(reply.refused,))
            attempts.append(attempt)
            if self._is_enough(least_blamed(attempts)) or reply.refused:
                break
            mended = least_blamed(attempts)  # an answer that made it worse is not built upon
            written = f"```python\n{mended.source}```" if mended.source else cut(reply.text, LONGEST_ANSWER)
            asked = self.prompts.say("repair", findings=cut(self._faults(mended), LONGEST_FAULTS))
            again = (*messages, Message("assistant", written or "(nothing)"), Message("user", asked))
            mending = (mended.source,) if mended.source else parents
            request = self._request("repair", f"{number}/{place}/{turn + 1}", again, mending)
        self._mend(f"{number}/{place}", attempts)
        return Candidate(number, place, ask, tuple(attempts))

    def _mend(self, place: str, attempts: list[Attempt]) -> None:
        """Let the grammar change the least blamed answer, part by part, while the critic blames it and the preset allows."""
        if self.mends is None:
            return
        for turn in range(self.brief.preset.mends):
            best = least_blamed(attempts)
            if not best.source or self._is_enough(best):
                return
            name = f"{place}/mend/{turn}"
            request = self._request("repair", name, (), (best.source,))
            reply = self.mends.ask(name, replace(request, blamed=best.faulty))
            if reply.refused:
                return
            attempts.append(self._examine(reply.text))

    def _examine(self, text: str) -> Attempt:
        try:
            writing = read_reply(text, self.abstraction)
            source = writing.source
            if self.brief.preset.signs:
                source = with_fixed_magnitudes(source)
                read_program(source, self.abstraction)
        except ProgramError as error:
            return Attempt(complaints=tuple(map(str, error.complaints)))
        said = self.critic.criticise(source)
        asked = said.guidance if self.brief.preset.guidance else None
        return Attempt(source, writing.notes, (), said.findings, asked)

    def _is_enough(self, attempt: Attempt) -> bool:
        """Whether an answer is not changed any more: it is without blame, and leads far enough where that is known."""
        return attempt.fate == "clean" and not self._leads_nowhere(attempt)

    def _faults(self, attempt: Attempt) -> str:
        """Everything that is wrong with an answer, in lines."""
        if not self._leads_nowhere(attempt):
            return attempt.faults
        leads = f"- {LEADS_NOWHERE.format(attempt.guidance)}"
        return f"{attempt.faults}\n{leads}" if attempt.faults else leads

    def _leads_nowhere(self, attempt: Attempt) -> bool:
        return attempt.guidance is not None and attempt.guidance < self.brief.preset.guidance

    @property
    def task(self) -> str:
        """What the agent is to do, in one line, whoever wrote it."""
        said = self.brief.task or self.abstraction.task or self.brief.env
        return " ".join(said.split()).replace("```", "")

    @property
    def first_prompt(self) -> str:
        """What is asked after the rules and the examples: the task, and what programs may see."""
        advice = f"\n{self.brief.advice}\n" if self.brief.advice else ""
        return self._of_task(self.task, self.abstraction.stub(), advice)

    @property
    def opening(self) -> tuple[Message, ...]:
        """What every request for a program begins with: the rules, and the examples as if they had been asked for."""
        turns: list[Message] = [Message("system", self.prompts.say(self.brief.preset.system))]
        for example in self.examples:
            turns.append(Message("user", self._of_task(example.task, example.stub, "")))
            turns.append(Message("assistant", f"```python\n{example.source}```"))
        return tuple(turns)

    def _of_task(self, task: str, stub: str, advice: str) -> str:
        features = re.findall(r"^ {4}([\w.]+): ", stub, re.MULTILINE)
        reads = f"after.{features[0]}" if features else "action"
        return self.prompts.say("task", task=task, stub=stub, reads=reads, advice=advice)

    def _messages(self, ask: Ask, number: int, history: History) -> tuple[Message, ...]:
        opening, first = self.opening, self.first_prompt
        if not ask.parents:
            return *opening, Message("user", first)
        fields: Mapping[str, str] = {"steps": f"{self.brief.steps:,}"}
        parents = [history[name] for name in ask.parents]
        evidence, advice = evidence_of(parents[0]), self._advice.get(number, "")
        if ask.kind == "cross":
            said = self.prompts.say(
                "cross",
                first=parents[0].source,
                second=parents[1].source,
                evidence=evidence,
                other_evidence=evidence_of(parents[1]),
                **fields,
            )
            return *opening, Message("user", f"{first}\n{said}")
        name = self.brief.preset.improve
        if name == "feedback" and advice:
            said = self.prompts.say("feedback", evidence=evidence, feedback=advice, **fields)
        else:
            told = f"{evidence}\n\nAn analyst says: {advice}" if advice else evidence
            said = self.prompts.say("improve" if name == "feedback" else name, evidence=told, **fields)
        written = Message("assistant", f"```python\n{parents[0].source}```")
        return *opening, Message("user", first), written, Message("user", said)

    def _request(
        self, kind: str, place: str, messages: tuple[Message, ...], parents: tuple[str, ...]
    ) -> Proposal:
        return Proposal(
            () if self.brief.by_grammar else messages,
            seed=int(digest_of([self.brief.seed, place])[:7], 16),
            temperature=self.brief.preset.temperature,
            most_tokens=self.brief.most_tokens,
            kind=kind,  # type: ignore[arg-type]
            parents=parents,
        )


def evidence_of(candidate: Candidate) -> str:
    """Return what came of a candidate's training, and what the critic still says of it, as prompts have it."""
    assert candidate.outcome is not None  # noqa: S101  # parents were trained
    faults = candidate.attempt.faults
    said = f"\nOf the reward itself:\n{cut(faults, LONGEST_FAULTS)}" if faults else ""
    return candidate.outcome.in_words() + said


def same_program(one: str, other: str) -> bool:
    """Whether two programs differ at most in how they are laid out."""
    return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
