"""Ways to design a reward, as data: a preset says how programs are asked for, and which ones are bred further."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shapegym.experiments.errors import DesignError
from shapegym.shaping.errors import suggest
from shapegym.shaping.files.marked_yaml import read_yaml_file

MOST_CANDIDATES = 64
MOST_ROUNDS = 100


class Preset(BaseModel):
    """How a loop goes on.

    Attributes:
        about: a sentence.
        rounds: in each of which programs are written and trained.
        candidates: programs of a round.
        repairs: how often a program that the critic blames goes back to whoever wrote it.
        mends: how often the grammar changes a part of what is still blamed then; costs nothing but the critic's time.
        guidance: how far a program must lead that does not go back, as the critic measures it
            (`shapegym.shaping.programs.critic.Criticism`); 0: that is not asked.
        finalists: programs that are trained again after the last round, with other seeds, which then decide (the best of many on
            the same seeds is partly so by luck); 0: the rounds decide.
        breeding: where programs come from in later rounds. "best": all from the best so far; "islands": from parents that are
            drawn by fitness, within islands.
        fresh: share of the candidates of a round that come from nothing as long as no agent has solved the task once: there is
            nothing yet to improve on.
        improve: the template by which one program is asked for from another.
        system: the template of the first message.
        examples: reference programs of other tasks that are shown.
        signs: only the signs of the parts ``sparse`` and ``dense`` count, with fixed magnitudes.
        analyse: ask for an analysis of the failures before each later round.
        islands: how many; candidates are spread over them.
        crossing: how often a program comes from two parents.
        migrate_every: rounds after which the best of each island joins the next one.
        temperature: of sampling.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    about: str = Field(min_length=1)
    rounds: int = Field(default=3, ge=1, le=MOST_ROUNDS)
    candidates: int = Field(default=4, ge=1, le=MOST_CANDIDATES)
    repairs: int = Field(default=1, ge=0, le=100)
    mends: int = Field(default=0, ge=0, le=1000)
    guidance: Annotated[float, Field(ge=0, le=1)] = 0.0
    finalists: int = Field(default=0, ge=0, le=MOST_CANDIDATES)
    breeding: Literal["best", "islands"] = "best"
    fresh: Annotated[float, Field(ge=0, le=1)] = 0.0
    improve: Literal["improve", "feedback", "mutate"] = "improve"
    system: Literal["system", "signs"] = "system"
    examples: int = Field(default=0, ge=0, le=5)
    signs: bool = False
    analyse: bool = False
    islands: int = Field(default=1, ge=1, le=16)
    crossing: Annotated[float, Field(ge=0, le=1)] = 0.0
    migrate_every: int = Field(default=2, ge=1)
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0


def preset_names() -> list[str]:
    """Return the names of the presets."""
    return sorted(_files())


def load_preset(name: str, **changes: int | float | None) -> Preset:
    """Return a preset by its name, or that of a file (``.yaml``), with some fields changed; None leaves one.

    Raises:
        DesignError: if there is none, or a field does not take its value.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else _files().get(name)
    if path is None:
        raise DesignError(
            f"There is no preset {name!r}.{suggest(name, _files())} Or give a file: preset.yaml."
        )
    data, _ = read_yaml_file(path, "preset", DesignError)
    changed = {key: value for key, value in changes.items() if value is not None}
    try:
        return Preset.model_validate({**data, **changed} if isinstance(data, dict) else data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DesignError(f"{path}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}.") from None


def _files() -> dict[str, Path]:
    folder = Path(str(resources.files("shapegym.experiments.design") / "presets"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
