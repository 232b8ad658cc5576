"""The loop on made-up outcomes: what is asked, mended, chosen and kept; killed anywhere, it goes on without asking twice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pretend_design import SEEN, Pretending, designer_for, pretended

from shapegym.experiments.design.candidate import Ask, Attempt, Candidate, best_of, least_blamed
from shapegym.experiments.design.grammar_proposer import GrammarProposer
from shapegym.experiments.design.loop import run_design
from shapegym.experiments.design.proposer import Proposal
from shapegym.shaping.asking.chat import Reply
from shapegym.shaping.asking.transcript import Budget, read_exchanges
from shapegym.shaping.errors import AskingError, UnansweredError
from shapegym.shaping.programs.critic import Finding

GOOD = "def compute_reward(before, after, action):\n    a = {} * after.x\n    return a, {{'a': a}}\n"
GAIN = GOOD.replace("'a': a", "'gain': a")
BAD = GOOD.replace("after.x", "after.pos[0]")


class Scripted:
    """Says one text after the other; an error where it is told to."""

    described: Mapping[str, Any] = {"model": "scripted", "base_url": ""}

    def __init__(self, *texts: str | Reply | Exception) -> None:
        self.texts, self.asked = list(texts), []

    asked: list[Proposal]

    def ask(self, request: Proposal) -> Reply:
        said = self.texts[len(self.asked) % len(self.texts)]
        self.asked.append(request)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Reply) else Reply(said, 10, 5)


class Mixed:
    """Good, blamed and unreadable programs, by the seed of the request."""

    described: Mapping[str, Any] = {"model": "mixed", "base_url": ""}

    def __init__(self) -> None:
        self.asked: list[Proposal] = []

    def ask(self, request: Proposal) -> Reply:
        self.asked.append(request)
        text = (GOOD, BAD, "no code", GOOD)[request.seed % 4].format(request.seed % 97)
        return Reply(text, 10, 5)


def contents(folder) -> dict[str, str]:
    """Everything but the seconds that answers took."""
    files = {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }
    return {name: re.sub(r'"seconds": [0-9.e-]+', "", text) for name, text in files.items()}


@pytest.mark.parametrize("preset", ["eureka", "revolve", "auto_mc", "text2reward"])
def test_the_grammar_goes_through_every_preset_and_comes_out_the_same(tmp_path, preset):
    for name in ("one", "two"):
        changes = {"rounds": 3, "candidates": 3}
        designer = designer_for(tmp_path / name, GrammarProposer(SEEN), preset, **changes)
        rounds = run_design(tmp_path / name, designer, Pretending())
        assert len(rounds) == 3
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert preset == "auto_mc" or rounds[-1].best is not None


def test_blame_goes_back_to_the_designer_and_the_mended_program_counts(tmp_path):
    proposer = Scripted(BAD.format(1), GOOD.format(2))
    designer = designer_for(tmp_path, proposer, rounds=1, candidates=1, repairs=2)
    (only,) = run_design(tmp_path, designer, Pretending())[0].candidates
    assert [each.fate for each in only.attempts] == ["blamed", "clean"]
    assert only.source == GOOD.format(2)
    system, task, answer, blame = proposer.asked[1].messages
    assert proposer.asked[1].kind == "repair"
    assert answer.role == "assistant"
    assert "pos[0]" in answer.content
    assert "It reads pos." in blame.content
    assert "class State" in task.content
    assert system.role == "system"


@pytest.mark.parametrize(("wanted", "asked"), [(0.0, 1), (0.5, 2)])
def test_a_program_that_leads_nowhere_goes_back_where_that_is_asked_for(tmp_path, wanted, asked):
    proposer = Scripted(GOOD.format(1), GAIN.format(2), GOOD.format(3))
    designer = designer_for(tmp_path, proposer, rounds=1, candidates=1, repairs=2, guidance=wanted)
    (only,) = run_design(tmp_path, designer, Pretending())[0].candidates
    assert len(proposer.asked) == len(only.attempts) == asked
    assert [each.guidance for each in only.attempts] == ([0.1, 0.9] if wanted else [None])
    if wanted:
        assert only.source == GAIN.format(2)
        assert "where it says nothing, 10% of the way" in proposer.asked[1].messages[-1].content


def test_the_grammar_mends_what_is_still_blamed_and_a_replay_needs_no_grammar(tmp_path):
    both = BAD.replace("after.pos[0]", "after.x").replace("return a,", "b = after.pos[1]\n    return a + b,")
    both = both.replace("'a': a", "'a': a, 'b': b")
    proposer = Scripted(both.format(3))
    for name, who in (("one", proposer), ("two", None)):
        if who is None:
            for file in ("exchanges.jsonl", "mends.jsonl"):
                (tmp_path / name).mkdir(exist_ok=True)
                (tmp_path / name / file).write_text((tmp_path / "one" / file).read_text())
        designer = designer_for(tmp_path / name, who, rounds=1, candidates=1, repairs=1, mends=50)
        (only,) = run_design(tmp_path / name, designer, Pretending())[0].candidates
        assert [each.fate for each in only.attempts[:2]] == ["blamed", "blamed"]
        assert only.attempt.fate == "clean"
    assert len(proposer.asked) == 2
    assert designer.mends is not None
    assert len(designer.mends.exchanges) == len(only.attempts) - 2
    assert not any(each.request.messages for each in designer.mends.exchanges)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert "after.x" in only.source, "the part without blame is the model's"


@pytest.mark.parametrize(("text", "mended"), [("no code", 0), (GOOD.format(1), 0), (BAD.format(1), 1)])
def test_what_cannot_be_read_or_is_without_blame_is_not_mended(tmp_path, text, mended):
    designer = designer_for(tmp_path, Scripted(text), rounds=1, candidates=1, repairs=0, mends=3)
    run_design(tmp_path, designer, Pretending())
    assert designer.mends is not None
    assert (len(designer.mends.exchanges) > 0) == mended
    assert len(designer.mends.exchanges) <= 3


def test_of_equal_blame_what_leads_further_counts():
    one, other = (Attempt("x", guidance=share) for share in (0.2, 0.4))
    assert least_blamed((one, other, one)) is other
    warned, wrong = (
        Attempt("y", findings=(Finding("a", severity, "b"),), guidance=0.45)
        for severity in ("warning", "error")
    )
    assert least_blamed((other, warned, wrong)) is other, "a warning weighs a tenth"
    assert least_blamed((one, warned, wrong)) is warned


def test_a_success_that_may_be_chance_does_not_decide_where_it_counts_how_far_programs_lead():
    def trained(guidance: float | None, low: float, success: float) -> Candidate:
        outcome = replace(pretended("x"), success=(success, low, 1.0), task_return=(success, low, 1.0))
        return Candidate(1, 0, Ask("new"), (Attempt("x", guidance=guidance),), outcome=outcome)

    lucky, leading, good = trained(0.1, 0.0, 0.02), trained(0.4, 0.0, 0.01), trained(0.1, 0.2, 0.3)
    assert best_of([lucky, leading]) is leading
    assert best_of([lucky, leading, good]) is good
    lucky, other = trained(None, 0.0, 0.02), trained(None, 0.0, 0.01)
    assert best_of([other, lucky]) is lucky


def test_finalists_are_trained_again_and_decide(tmp_path):
    class Fickle(Pretending):
        """In the end the last of them does best."""

        def train(self, number, candidates):
            done = super().train(number, candidates)
            if number <= 2:
                return done
            scores = [replace(each.outcome, success=(each.number / 10, 0.0, 1.0)) for each in done]
            return [each.with_outcome(score) for each, score in zip(done, scores, strict=True)]

    trainer = Fickle()
    proposer = Scripted(*(GOOD.format(number) for number in range(1, 7)))
    designer = designer_for(tmp_path, proposer, rounds=2, candidates=3, repairs=0, finalists=2)
    *rounds, final = run_design(tmp_path, designer, trainer)
    judged = sorted((each for stage in rounds for each in stage.candidates), key=lambda each: -each.merit[0])
    assert [each.ask for each in final.candidates] == [Ask("again", (each.id,)) for each in judged[:2]]
    assert final.best is not None
    assert (final.best.id, final.best.source) == ("3/1", judged[1].source)
    assert (tmp_path / "best.py").read_text() == judged[1].source
    assert trainer.trained[-2:] == ["3/0", "3/1"]
    assert [designer.brief.seeds_of(number) for number in (1, 2, 3)] == [(0,), (0,), (1, 2, 3)]
    assert designer.brief.most_runs == 2 * 3 + 2 * 3
    begun = len(trainer.trained)
    assert run_design(tmp_path, designer, trainer)[-1] == final
    assert len(trainer.trained) == begun + 8, "whoever trains knows what is there already"
    assert len(proposer.asked) == 6


def test_complaints_of_the_reader_go_back_too_and_repairs_are_bounded(tmp_path):
    proposer = Scripted("no code at all")
    designer = designer_for(tmp_path, proposer, rounds=1, candidates=2, repairs=2)
    rounds = run_design(tmp_path, designer, Pretending())
    assert len(proposer.asked) == 6
    assert "no Python code" in proposer.asked[1].messages[-1].content
    assert {each.attempt.fate for each in rounds[0].candidates} == {"refused"}
    assert rounds[0].best is None
    assert not (tmp_path / "best.py").exists()


def test_programs_with_errors_are_trained_only_where_there_is_nothing_else(tmp_path):
    trainer = Pretending()
    designer = designer_for(
        tmp_path / "a", Scripted(BAD.format(1), GOOD.format(2)), rounds=1, candidates=2, repairs=0
    )
    run_design(tmp_path / "a", designer, trainer)
    assert trainer.trained == ["1/1"]
    designer = designer_for(
        tmp_path / "b", Scripted(BAD.format(1), BAD.format(2)), rounds=1, candidates=2, repairs=0
    )
    run_design(tmp_path / "b", designer, trainer)
    assert trainer.trained == ["1/1", "1/0", "1/1"]


def test_a_program_that_was_there_is_not_trained_again(tmp_path):
    trainer = Pretending()
    designer = designer_for(
        tmp_path, Scripted(GOOD.format(1), GOOD.format(1).replace("    ", "  ")), candidates=2, rounds=1
    )
    (stage,) = run_design(tmp_path, designer, trainer)
    assert trainer.trained == ["1/0"]
    assert stage.candidates[1].same_as == "1/0"
    assert stage.candidates[1].outcome == stage.candidates[0].outcome


def test_the_best_is_improved_with_what_came_of_it(tmp_path):
    proposer = Scripted(*(GOOD.format(number) for number in range(2, 8)))
    designer = designer_for(tmp_path, proposer, rounds=2, candidates=3)
    first, second = run_design(tmp_path, designer, Pretending())
    best = max(first.candidates, key=lambda each: pretended(each.source).score)
    assert {each.ask.parents for each in second.candidates} == {(best.id,)}
    answer, told = proposer.asked[3].messages[2:]
    assert best.source in answer.content
    assert "success: [" in told.content
    assert "- x was 0.5." in told.content
    assert len({each.seed for each in proposer.asked}) == 6
    assert second.best is max((*first.candidates, *second.candidates), key=lambda each: each.outcome.score)


def test_islands_cross_and_migrate(tmp_path):
    designer = designer_for(tmp_path, GrammarProposer(SEEN), "revolve", rounds=6, candidates=6, crossing=0.7)
    rounds = run_design(tmp_path, designer, Pretending())
    asks = [each.ask for stage in rounds for each in stage.candidates]
    assert {ask.island for ask in asks} == {0, 1}
    assert {ask.kind for ask in asks} == {"new", "improve", "cross"}
    island = {each.id: each.ask.island for stage in rounds for each in stage.candidates}
    abroad = [ask for ask in asks if any(island[parent] != ask.island for parent in ask.parents)]
    assert abroad  # somebody's parent is from the other island
    for stage in rounds:
        for each in stage.candidates:
            assert all(int(parent.partition("/")[0]) < stage.number for parent in each.ask.parents)


def test_signs_have_fixed_magnitudes(tmp_path):
    text = (
        "def compute_reward(before, after, action):\n    s = float(after.held)\n    d = after.x - before.x\n"
        "    return s + d, {'sparse': s * 5.0, 'dense': d}\n"
    )
    proposer = Scripted(text, GOOD.format(1))
    designer = designer_for(tmp_path, proposer, "auto_mc", rounds=1, candidates=2, repairs=0)
    (stage,) = run_design(tmp_path, designer, Pretending())
    assert "1.0 * sign(s * 5.0)" in stage.candidates[0].source
    assert "0.1 * sign(d)" in stage.candidates[0].source
    assert stage.candidates[1].attempt.fate == "refused"
    assert "exactly these two parts" in stage.candidates[1].attempt.faults


def test_failures_are_analysed_and_the_analysis_is_told(tmp_path):
    class Analyst(Scripted):
        def ask(self, request: Proposal) -> Reply:
            self.asked.append(request)
            if request.kind == "analyse":
                return Reply("It never picks up the key.")
            return Reply(GOOD.format(len(self.asked)).replace("'a'", "'dense'"))

    proposer = Analyst("")
    run_design(tmp_path, designer_for(tmp_path, proposer, "auto_mc", rounds=2, candidates=1), Pretending())
    analysis, second = proposer.asked[1:3]
    assert "- x was 0.5." in analysis.messages[0].content
    assert "never picks up the key" in second.messages[-1].content


def test_a_person_is_heard_once_and_is_part_of_the_transcript(tmp_path):
    person = Scripted(Reply("It should hurry."))
    proposer = Scripted(*(GOOD.format(number) for number in range(9)))
    for _ in range(2):
        designer = designer_for(tmp_path, proposer, "text2reward", rounds=2, candidates=2)
        designer.person = person
        run_design(tmp_path, designer, Pretending())
    assert len(person.asked) == 1
    assert "Somebody who watched it says: It should hurry." in proposer.asked[2].messages[-1].content
    assert "2/person" in [each.place for each in read_exchanges(tmp_path / "exchanges.jsonl", Proposal)]


def test_a_request_that_is_refused_loses_one_candidate_and_nothing_else(tmp_path):
    proposer = Scripted(Reply("", refused="maximum context length is 6144"), GOOD.format(1))
    (stage,) = run_design(tmp_path, designer_for(tmp_path, proposer, rounds=1, candidates=2), Pretending())
    assert [each.attempt.fate for each in stage.candidates] == ["refused", "clean"]
    assert "6144" in stage.candidates[0].attempt.faults


@pytest.mark.parametrize("after", [0, 1, 4, 7, 11])
def test_broken_off_anywhere_it_goes_on_and_asks_nothing_twice(tmp_path, after):
    whole = Mixed()
    run_design(tmp_path / "whole", designer_for(tmp_path / "whole", whole, candidates=3), Pretending())
    pieces, folder = Mixed(), tmp_path / "pieces"
    assert after < len(whole.asked)
    with pytest.raises(UnansweredError, match="budget") if after else pytest.raises(UnansweredError):
        dead = Scripted(UnansweredError("budget")) if after == 0 else pieces
        run_design(
            folder, designer_for(folder, dead, candidates=3, budget=Budget(calls=after or None)), Pretending()
        )
    run_design(folder, designer_for(folder, pieces, candidates=3), Pretending())
    assert [each.digest for each in pieces.asked] == [each.digest for each in whole.asked]
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_transcript_alone_replays_it(tmp_path):
    run_design(tmp_path / "a", designer_for(tmp_path / "a", Mixed(), candidates=3), Pretending())
    (tmp_path / "b").mkdir()
    (tmp_path / "b/exchanges.jsonl").write_bytes((tmp_path / "a/exchanges.jsonl").read_bytes())
    run_design(tmp_path / "b", designer_for(tmp_path / "b", None, candidates=3), Pretending())
    assert contents(tmp_path / "b") == contents(tmp_path / "a")
    other = Pretending()  # other outcomes lead to other questions
    other.train = lambda number, candidates: [each.with_outcome(pretended("x")) for each in candidates]
    designer = designer_for(tmp_path / "b", None, candidates=3)
    with pytest.raises(AskingError, match="another request"):
        run_design(tmp_path / "b", designer, other)


def test_the_folder_tells_everything(tmp_path):
    run_design(
        tmp_path,
        designer_for(tmp_path, Scripted(BAD.format(1), GOOD.format(2)), rounds=1, candidates=1),
        Pretending(),
    )
    place = tmp_path / "candidates/1/0"
    assert (place / "program.py").read_text() == (tmp_path / "best.py").read_text() == GOOD.format(2)
    findings = json.loads((place / "findings.json").read_text())
    assert [len(each["findings"]) for each in findings["attempts"]] == [1, 0]
    assert json.loads((place / "outcome.json").read_text())["outcome"]["frames"] == 100
    (row,) = map(json.loads, (tmp_path / "rounds.jsonl").read_text().splitlines())
    assert (row["best"], row["candidates"][0]["fate"]) == ("1/0", "clean")


@pytest.mark.parametrize("preset", ["eureka", "revolve"])
def test_as_long_as_nothing_works_half_is_written_anew(tmp_path, preset):
    class Hopeless(Pretending):
        def train(self, number, candidates):
            nothing = replace(pretended("x"), success=(0.0, 0.0, 0.1), task_return=(0.0, 0.0, 0.0))
            return [each.with_outcome(nothing) for each in candidates]

    designer = designer_for(tmp_path, GrammarProposer(SEEN), preset, rounds=2, candidates=4)
    second = run_design(tmp_path, designer, Hopeless())[1]
    assert [each.ask.kind for each in second.candidates].count("new") >= 2
