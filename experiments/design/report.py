"""A design for people: a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shapegym.experiments.design.brief import Brief
from shapegym.experiments.design.candidate import Candidate
from shapegym.experiments.design.costs import Cost
from shapegym.experiments.design.loop import Round


def report_of(brief: Brief, task: str, rounds: Sequence[Round], cost: Cost, trouble: str = "") -> str:
    """Return the page.

    Args:
        brief: what was asked for.
        task: the sentence that the designer was given.
        rounds: those that are finished.
        cost: what they took.
        trouble: why there are no more of them; empty if all are there.
    """
    best = rounds[-1].best if rounds else None
    lines = [f"# A reward for {brief.env}", "", f"Task: {task}", ""]
    lines += [
        f"By {_who(brief)}; {len(rounds)} of {brief.preset.rounds + bool(brief.preset.finalists)} rounds. It took {cost}.",
        "",
    ]
    if trouble:
        lines += [f"It was broken off: {trouble}", ""]
    lines += [
        "Success and task return are means over the last evaluations, with 95 % intervals over these; of the best of many they "
        "promise too much. The critic judges before training: a program with errors is not trained, unless there is no other.",
        "",
        "| candidate | asked for | attempts | critic | success | task return |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(each, best) for stage in rounds for each in stage.candidates]
    written = [each for stage in rounds for each in stage.candidates if each.ask.kind != "again"]
    lines += ["", _counts(written), ""]
    if best is not None and best.outcome is not None:
        lines += [f"## The best program: {best.id}", "", "```python", best.source.rstrip(), "```", ""]
        lines += [
            "How its training went, at ten times from beginning to end:",
            "",
            best.outcome.in_words(),
            "",
        ]
    return "\n".join(lines)


def counts_of(candidates: Sequence[Candidate]) -> Counter[str]:
    """Return how candidates fared before training.

    Returns:
        candidates; "read at once": those of which the first answer was a program; "clean at once": without blame as well; "mended":
        blamed or refused first and clean at last; "blamed": not clean, but a program; "refused": never a program; "same".
    """
    counts: Counter[str] = Counter({"candidates": len(candidates)})
    for each in candidates:
        first = each.attempts[0]
        counts["read at once"] += bool(first.source)
        counts["clean at once"] += first.fate == "clean"
        counts["mended"] += first.fate != "clean" and each.attempt.fate == "clean"
        counts["blamed"] += each.attempt.fate == "blamed"
        counts["refused"] += each.attempt.fate == "refused"
        counts["same"] += bool(each.same_as)
    return counts


def _counts(candidates: Sequence[Candidate]) -> str:
    counts = counts_of(candidates)
    return (
        f"Of {counts['candidates']} candidates, {counts['read at once']} were programs at once, {counts['clean at once']} of these "
        f"without blame; {counts['mended']} became so after what the reader or the critic said, {counts['blamed']} stayed "
        f"blamed, {counts['refused']} were never a program. {counts['same']} repeated an earlier one."
    )


def _row(candidate: Candidate, best: Candidate | None) -> str:
    ask = candidate.ask.kind + (f" {' + '.join(candidate.ask.parents)}" if candidate.ask.parents else "")
    critic = {"clean": "clean", "blamed": _blame(candidate), "refused": "refused"}[candidate.attempt.fate]
    name = f"**{candidate.id}**" if best is not None and candidate.id == best.id else candidate.id
    if candidate.outcome is None:
        why = "training failed" if candidate.trouble else "not trained"
        return f"| {name} | {ask} | {len(candidate.attempts)} | {critic} | {why} | |"
    same = f" (as {candidate.same_as})" * bool(candidate.same_as)
    success = "-" if candidate.outcome.success is None else _interval(candidate.outcome.success)
    cells = (
        name,
        ask,
        len(candidate.attempts),
        critic,
        success + same,
        _interval(candidate.outcome.task_return),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _blame(candidate: Candidate) -> str:
    findings = [each for each in candidate.attempt.findings if each.severity != "note"]
    return ", ".join(dict.fromkeys(f"{each.severity}: {each.rule}" for each in findings))


def _interval(found: tuple[float, float, float]) -> str:
    return "{:.3g} [{:.3g}, {:.3g}]".format(*found)


def _who(brief: Brief) -> str:
    if brief.by_grammar:
        return "the grammar"
    return str(brief.proposer.get("model", "a transcript")) + ", mended by the grammar" * bool(
        brief.preset.mends
    )
