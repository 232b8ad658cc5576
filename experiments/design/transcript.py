"""Every exchange with a proposer, kept as it happens: a line of JSON each.

A design is a function of its request, of these answers and of the runs. So one that goes on after it was killed, and one that is
replayed, ask the transcript first; an answer that is on the disk is never asked for again.
"""

from __future__ import annotations

import difflib
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from shapegym.experiments.design.proposer import Message, Proposer, Reply, Request
from shapegym.experiments.errors import DesignError, ProposerError
from shapegym.shaping.json_lines import append_rows, read_rows

EXCHANGES = "exchanges.jsonl"


@dataclass(frozen=True)
class Exchange:
    """One question and its answer.

    Attributes:
        place: where in the design it was asked, such as ``2/0/1``: round, candidate, attempt.
        digest: of the request.
        request: what was asked.
        reply: what came back.
        seconds: it took; the one thing that does not repeat.
    """

    place: str
    digest: str
    request: Request
    reply: Reply
    seconds: float = 0.0

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)


_EXCHANGE: TypeAdapter[Exchange] = TypeAdapter(Exchange)


def read_exchanges(path: Path) -> list[Exchange]:
    """Return the exchanges of a file; an unfinished last line is left out.

    Raises:
        DesignError: if the file is none, an exchange is there twice, or a request is not the one that its digest names.
    """
    exchanges: list[Exchange] = []
    for number, row in enumerate(read_rows(path, DesignError), start=1):
        where = f"{path}, line {number},"
        try:
            exchange = _EXCHANGE.validate_python(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise DesignError(f"{where} is no exchange: {place}: {first['msg']}.") from None
        if exchange.request.digest != exchange.digest:
            raise DesignError(f"{where} was edited: its request is not the one that its digest names.")
        exchanges.append(exchange)
    places = [exchange.place for exchange in exchanges]
    if twice := {place for place in places if places.count(place) > 1}:
        raise DesignError(f"{path} has the exchange {min(twice)} twice.")
    return exchanges


@dataclass
class Budget:
    """What a design may spend on its proposer. None: as much as its plan needs."""

    calls: int | None = None
    tokens: int | None = None  # of requests and answers together, as the proposer counts them


@dataclass
class Transcript:
    """Answers from a file, and what is not there from a proposer.

    Attributes:
        path: of the file; made with its first exchange.
        proposer: who is asked; None replays: then all must be there.
        budget: of everything in the file.
    """

    path: Path
    proposer: Proposer | None
    budget: Budget = field(default_factory=Budget)
    _kept: dict[str, Exchange] = field(init=False)

    def __post_init__(self) -> None:
        self._kept = {each.place: each for each in read_exchanges(self.path)} if self.path.exists() else {}

    @property
    def exchanges(self) -> list[Exchange]:
        """Those that there are, in the order in which they were made."""
        return list(self._kept.values())

    @property
    def tokens(self) -> int:
        """Of requests and answers, as counted."""
        return sum(each.reply.asked_tokens + each.reply.told_tokens for each in self.exchanges)

    def ask(self, place: str, request: Request, proposer: Proposer | None = None) -> Reply:
        """Return the answer to a request, from the file if it was asked before, else from ``proposer`` in place of the usual one.

        Raises:
            DesignError: if something else was asked at this place.
            ProposerError: if nobody answers, or the budget is spent.
        """
        if (kept := self._kept.get(place)) is not None:
            if kept.digest != request.digest:
                raise DesignError(
                    f"{self.path} has another request for {place} than this design makes: {_difference(kept.request, request)}. "
                    "Replay it with the version that recorded it, or begin a new design."
                )
            return kept.reply
        proposer = proposer or self.proposer
        if proposer is None:
            raise ProposerError(f"{self.path} has no answer for {place}: it was broken off before.")
        self._require_budget(place)
        reply, seconds = _timed(proposer, request)
        exchange = Exchange(place, request.digest, request, reply, seconds)
        append_rows(self.path, [_EXCHANGE.dump_python(exchange, mode="json")])
        self._kept[place] = exchange
        return reply

    def _require_budget(self, place: str) -> None:
        for what, most, spent in (
            ("calls", self.budget.calls, len(self._kept)),
            ("tokens", self.budget.tokens, self.tokens),
        ):
            if most is not None and spent >= most:
                raise ProposerError(
                    f"The budget of {most:,} {what} is spent ({spent:,}), and {place} is not asked yet. Go on with a larger one."
                )


def _timed(proposer: Proposer, request: Request) -> tuple[Reply, float]:
    start = time.monotonic()
    reply = proposer.propose(request)
    return reply, round(time.monotonic() - start, 3)


def _difference(then: Request, now: Request) -> str:
    """The first difference, for people."""
    for name, before in asdict(then).items():
        after = asdict(now)[name]
        if before == after:
            continue
        if name != "messages":
            return f"{name} was {before!r} and is {after!r}"
        old, new = (_lines(request.messages) for request in (then, now))
        changed = (
            line
            for line in difflib.unified_diff(old, new, n=0, lineterm="")
            if line[:3] not in ("---", "+++")
        )
        shown = [line for line in changed if not line.startswith("@@")][:2]
        return "in its messages " + " / ".join(repr(line[:160]) for line in shown)
    return "nothing that can be seen"


def _lines(messages: tuple[Message, ...]) -> list[str]:
    return [line for message in messages for line in (f"[{message.role}]", *message.content.splitlines())]
