"""What a design is asked for, complete and as data: the same brief, answers and versions make the same design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, TypeAlias

from annotated_types import Ge, Le, MinLen

from shapegym.experiments.design.preset import Preset
from shapegym.experiments.errors import DesignError
from shapegym.experiments.runs.request import MOST_EPISODES, MOST_STEPS
from shapegym.shaping.digests import digest_of
from shapegym.shaping.limits import Limited, Natural

_Steps: TypeAlias = Annotated[int, Ge(1), Le(MOST_STEPS), "an integer of at least 1"]
_Few: TypeAlias = Annotated[int, Ge(1), Le(1000), "an integer in [1, 1000]"]


FINAL_SEEDS = 3
"""With which finalists are trained again."""


@dataclass(frozen=True)
class Brief(Limited):
    """A complete request.

    Attributes:
        env: id of the environment.
        task: what the agent is to do, in a sentence; empty: as the environment says it.
        preset: how programs are asked for and bred.
        steps: of each training run.
        env_kwargs: of the environment.
        features: shown to the designer although they give the task away.
        advice: what a person adds to the first prompt.
        algo: who learns.
        settings: hyper-parameters that differ from the table's.
        seeds: of the runs of each candidate.
        points: evaluations of a run while it goes on.
        episodes: of each.
        seed: of everything that the design draws.
        most_tokens: of an answer.
        proposer: who writes, as data (`Chat.described`).
        imports: modules of other people that define what the brief names.
    """

    misfit = DesignError

    env: str
    preset: Preset
    steps: _Steps
    task: str = ""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    advice: str = ""
    algo: str = "PPO"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: Annotated[tuple[Natural, ...], MinLen(1), "seeds, at least one"] = (0,)
    points: _Few = 10
    episodes: Annotated[int, Ge(1), Le(MOST_EPISODES), "an integer of at least 1"] = 20
    seed: Natural = 0
    most_tokens: Annotated[int, Ge(1), Le(100_000), "an integer in [1, 100,000]"] = 600
    proposer: Mapping[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = ()

    @property
    def by_grammar(self) -> bool:
        """Whether programs come from the grammar, which reads no word and costs no tokens."""
        return "grammar" in self.proposer

    def as_data(self) -> dict[str, Any]:
        """Return the fields as plain data; what was added later only where it is asked for, so that older digests hold."""
        left_out = {name for name in ("mends", "guidance", "finalists") if not getattr(self.preset, name)}
        return {**asdict(self), "preset": self.preset.model_dump(exclude=left_out)}

    @property
    def most_runs(self) -> int:
        """Training runs, if all programs are trained."""
        of_rounds = self.preset.rounds * self.preset.candidates * len(self.seeds)
        return of_rounds + self.preset.finalists * FINAL_SEEDS

    def seeds_of(self, number: int) -> tuple[int, ...]:
        """Return the seeds with which a round trains; those of the finalists, behind the last round, are their own."""
        after = max(self.seeds) + 1
        return self.seeds if number <= self.preset.rounds else tuple(range(after, after + FINAL_SEEDS))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Brief:
        """The inverse of `as_data`.

        Raises:
            DesignError: if it is none.
        """
        try:
            lists = {key: tuple(data[key]) for key in ("features", "seeds", "imports")}
            return cls(**{**data, **lists, "preset": Preset.model_validate(data["preset"])})
        except (TypeError, KeyError, ValueError) as error:
            raise DesignError(f"This is no brief of a design: {error}.") from None

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any part of it."""
        return digest_of(self.as_data())
