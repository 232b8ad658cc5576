"""Every exchange with a language model, kept as it happens: a line of JSON each.

What goes on after it was killed, and what is replayed, asks the transcript first; an answer that is on the disk is never asked for
again.
"""

from __future__ import annotations

import difflib
import math
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Generic

from filelock import FileLock
from pydantic import ConfigDict, TypeAdapter, ValidationError

from shapegym.shaping.asking.chat import AnyRequest, Chat, Message, Reply, Request
from shapegym.shaping.errors import AskingError, BudgetError, UnansweredError
from shapegym.shaping.json_lines import append_rows, read_rows

EXCHANGES = "exchanges.jsonl"


@dataclass(frozen=True)
class Exchange(Generic[AnyRequest]):
    """One question and its answer.

    Attributes:
        place: what it was asked for, such as ``2/0/1``: unique in a transcript.
        digest: of the request.
        request: what was asked.
        reply: what came back.
        seconds: it took; the one thing that does not repeat.
    """

    place: str
    digest: str
    request: AnyRequest
    reply: Reply
    seconds: float = 0.0

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)


def read_exchanges(path: Path, kind: type[AnyRequest]) -> list[Exchange[AnyRequest]]:
    """Return the exchanges of a file, of a kind of requests; an unfinished last line is left out.

    Raises:
        AskingError: if the file is none, an exchange is there twice, or a request is not the one that its digest names.
    """
    exchanges: list[Exchange[AnyRequest]] = []
    form: TypeAdapter[Exchange[AnyRequest]] = TypeAdapter(Exchange[kind])  # type: ignore[valid-type]
    for number, row in enumerate(read_rows(path, AskingError), start=1):
        where = f"{path}, line {number},"
        try:
            exchange = form.validate_python(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise AskingError(f"{where} is no exchange: {place}: {first['msg']}.") from None
        if exchange.request.digest != exchange.digest:
            raise AskingError(f"{where} was edited: its request is not the one that its digest names.")
        exchanges.append(exchange)
    often = Counter(exchange.place for exchange in exchanges)
    if twice := [place for place, times in often.items() if times > 1]:
        raise AskingError(f"{path} has the exchange {min(twice)} twice.")
    return exchanges


@dataclass
class Budget:
    """What may be spent on whoever is asked. None: as much as is needed."""

    calls: int | None = None
    tokens: int | None = None  # of requests and answers together, as whoever answers counts them


@dataclass
class Transcript(Generic[AnyRequest]):
    """Answers from a file, and what is not there from whoever is asked.

    Attributes:
        path: of the file, made with its first exchange; None keeps the exchanges in memory.
        chat: who is asked; None replays: then all must be there.
        kind: of requests.
        budget: of everything in the file.
        shared: whether other processes write the file too, so that it is locked, and read again where it has grown.
    """

    path: Path | None
    chat: Chat[AnyRequest] | None
    kind: type[AnyRequest]
    budget: Budget = field(default_factory=Budget)
    shared: bool = False
    _kept: dict[str, Exchange[AnyRequest]] = field(init=False, default_factory=dict)
    _size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._read()

    @property
    def exchanges(self) -> list[Exchange[AnyRequest]]:
        """Those that there are, in the order in which they were made."""
        return list(self._kept.values())

    @property
    def tokens(self) -> int:
        """Of requests and answers, as counted."""
        return sum(each.reply.asked_tokens + each.reply.told_tokens for each in self.exchanges)

    @property
    def calls_left(self) -> float:
        """How many requests may still be sent."""
        return math.inf if self.budget.calls is None else max(self.budget.calls - len(self._kept), 0)

    def ask(self, place: str, request: AnyRequest, chat: Chat[AnyRequest] | None = None) -> Reply:
        """Return the answer to a request, from the file if it was asked before, else from ``chat`` in place of the usual one.

        Raises:
            AskingError: if something else was asked at this place.
            UnansweredError: if nobody answers; a `BudgetError` if the budget is spent.
        """
        if (known := self.known(place, request)) is not None:
            return known
        chat = chat or self.chat
        if chat is None:
            raise UnansweredError(f"{self} has no answer for {place}: it was broken off before.")
        self.require_budget(place)
        return self.keep(place, request, *timed(chat, request))

    def known(self, place: str, request: AnyRequest) -> Reply | None:
        """Return the answer that is kept, or None.

        Raises:
            AskingError: if something else was asked at this place.
        """
        if place not in self._kept and self.shared:
            self._read()
        if (kept := self._kept.get(place)) is None:
            return None
        if kept.digest != request.digest:
            raise AskingError(
                f"{self} has another request for {place} than is made now: {_difference(kept.request, request)}. "
                "Replay it with the version that recorded it, or begin a new transcript."
            )
        return kept.reply

    def keep(self, place: str, request: AnyRequest, reply: Reply, seconds: float) -> Reply:
        """Keep an answer, and return it; if another process was first, return the answer that it got."""
        exchange = Exchange(place, request.digest, request, reply, seconds)
        if self.path is None:
            return self._kept.setdefault(place, exchange).reply
        with FileLock(f"{self.path}.lock") if self.shared else nullcontext():
            if self.shared and (known := self.known(place, request)) is not None:
                return known
            append_rows(self.path, [asdict(exchange)])
            self._size = self.path.stat().st_size
        self._kept[place] = exchange
        return reply

    def require_budget(self, place: str) -> None:
        """Raise `BudgetError` if nothing may be asked any more; ``place`` would be next."""
        for what, most, spent in (
            ("calls", self.budget.calls, len(self._kept)),
            ("tokens", self.budget.tokens, self.tokens),
        ):
            if most is not None and spent >= most:
                raise BudgetError(
                    f"The budget of {most:,} {what} is spent ({spent:,}), and {place} is not asked yet. Go on with a larger one."
                )

    def __str__(self) -> str:
        return str(self.path or "The transcript")

    def _read(self) -> None:
        """Take in what is in the file and not known yet."""
        if self.path is not None and self.path.exists() and (size := self.path.stat().st_size) != self._size:
            self._kept = {each.place: each for each in read_exchanges(self.path, self.kind)}
            self._size = size


def timed(chat: Chat[AnyRequest], request: AnyRequest) -> tuple[Reply, float]:
    """Ask, and say how many seconds it took."""
    start = time.monotonic()
    reply = chat.ask(request)
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
