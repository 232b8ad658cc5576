"""Idioms of shaping as genes: what people and models write in rewards, over the features that an abstraction shows.

Each idiom is about one quantity and writes one gene. A number is divided by the width of its range where that is known, so that
weights mean the same for all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from shapegym.shaping.programs.abstraction import Abstraction
from shapegym.shaping.programs.grammar.genes import Form, Gene
from shapegym.shaping.programs.grammar.quantities import (
    About,
    Quantity,
    Rng,
    code_of,
    condition,
    pick,
    place_in,
    quantities,
    written,
)

Idiom: TypeAlias = Callable[[Quantity, Rng], Gene]
Weights: TypeAlias = tuple[float, float]

ONCE, ALWAYS = (0.1, 3.0), (0.003, 0.3)
"""Weights of parts that come to about themselves in an episode (gains, events), and of those that are paid at every step."""
REVERSED = 0.15
"""How often a weight has the other sign."""
GUARDED = 0.25
"""How often a part counts only while something holds."""
COSTS = 0.08
"""How often a part is about the action."""


def random_gene(abstraction: Abstraction, form: Form, rng: Rng) -> Gene:
    """Return an idiom over quantities drawn at random; where there are none, what an action costs."""
    known = quantities(abstraction)
    if form == "reward" and (not known or rng.random() < COSTS):
        return _cost(abstraction, rng)
    if not known:
        return Gene("level", (f"level = {written(_weight(rng))}",))
    kind = pick(sorted({each.about for each in known}), rng)
    gene = pick(_IDIOMS[form][kind], rng)(pick([each for each in known if each.about == kind], rng), rng)
    return _guarded(gene, known, form, rng) if rng.random() < GUARDED else gene


def _progress(of: Quantity, rng: Rng) -> Gene:
    """More, or less, than before."""
    return _part(f"{of.name}_change", f"{_scaled(of, rng)} * ({of.of('after')} - {of.of('before')})")


def _level(of: Quantity, rng: Rng, weights: Weights = ALWAYS) -> Gene:
    """How much there is."""
    return _part(of.name, f"{_scaled(of, rng, weights)} * {of.of(_now(rng))}")


def _square(of: Quantity, rng: Rng, weights: Weights = ALWAYS) -> Gene:
    """How far from nothing, like an energy."""
    value = of.of(_now(rng))
    return _part(f"{of.name}_square", f"{written(_signed(rng, weights) / of.width**2)} * ({value} * {value})")


def _nearness(of: Quantity, rng: Rng, weights: Weights = ALWAYS) -> Gene:
    """How near a number is to a place."""
    gap = _gap(of, place_in(of, rng))("after")
    if rng.random() < 0.5:
        scale = written(of.width * rng.uniform(0.05, 0.5))
        return _part(f"{of.name}_near", f"{written(_signed(rng, weights))} * exp(-{gap} / {scale})")
    return _part(f"{of.name}_far", f"{written(-_signed(rng, weights) / of.width)} * {gap}")


def _approach(of: Quantity, rng: Rng) -> Gene:
    """Nearer to a place than before."""
    gap = _gap(of, place_in(of, rng))
    return _part(f"{of.name}_nearer", f"{_scaled(of, rng)} * ({gap('before')} - {gap('after')})")


def _record(of: Quantity, rng: Rng) -> Gene:
    """More than ever in the episode; less, of a distance. Its first step begins the record."""
    name, slot, known = f"{of.name}_record", f"best_{of.name}", f"any_{of.name}"
    least = of.about == "distance" or rng.random() < 0.3
    gain = f"{slot}_then - memory.{slot}" if least else f"memory.{slot} - {slot}_then"
    lines = (
        f"{slot}_then = memory.{slot} if memory.{known} > 0.0 else {of.of('before')}",
        f"memory.{slot} = {'min' if least else 'max'}({slot}_then, {of.of('after')})",
        f"memory.{known} = 1.0",
        f"{name} = {written(_weight(rng) / of.width)} * ({gain})",
    )
    return Gene(name, lines, ((slot, 0.0), (known, 0.0)))


def _begins(of: Quantity, rng: Rng) -> Gene:
    """A step in which something begins to hold."""
    holds = _holding(of, rng)
    return _part(
        f"{of.name}_begins", f"{written(_signed(rng))} if {holds('after')} and not {holds('before')} else 0.0"
    )


def _first_time(of: Quantity, rng: Rng) -> Gene:
    """The first step of the episode in which something holds, and no other."""
    name, slot = f"{of.name}_first", f"seen_{of.name}"
    lines = (
        f"{slot}_then = memory.{slot}",
        f"memory.{slot} = 1.0 if {_holding(of, rng)('after')} else memory.{slot}",
        f"{name} = {written(_weight(rng))} * (memory.{slot} - {slot}_then)",
    )
    return Gene(name, lines, ((slot, 0.0),))


def _while(of: Quantity, rng: Rng, weights: Weights = ALWAYS) -> Gene:
    """Every step in which something holds."""
    return _part(
        f"{of.name}_holds", f"{written(_signed(rng, weights))} if {_holding(of, rng)(_now(rng))} else 0.0"
    )


def _cost(abstraction: Abstraction, rng: Rng) -> Gene:
    """What the action costs, or one of the actions."""
    action = abstraction.action
    if action.length:
        return _part("effort", f"{written(-_weight(rng, ALWAYS))} * dot(action, action)")
    if not (math.isfinite(action.low) and math.isfinite(action.high)):
        return _part("effort", f"{written(-_weight(rng, ALWAYS))} * (action * action)")
    which = pick(range(math.ceil(action.low), math.floor(action.high) + 1), rng)
    return _part(
        f"action_{which}".replace("-", "minus_"),
        f"{written(_signed(rng, ALWAYS))} if action == {which} else 0.0",
    )


def _guarded(gene: Gene, known: Sequence[Quantity], form: Form, rng: Rng) -> Gene:
    """Pays only while something holds."""
    *lines, last = gene.lines
    value = last.partition(" = ")[2]
    holds = condition(known, "after" if form == "reward" else "state", rng)
    return Gene(gene.name, (*lines, f"{gene.name} = ({value}) if {holds} else 0.0"), gene.slots)


def _of_state(idiom: Callable[[Quantity, Rng, Weights], Gene]) -> Idiom:
    """The idiom in a potential, which knows one state, and is paid for what it gains."""

    def of_state(of: Quantity, rng: Rng) -> Gene:
        gene = idiom(of, rng, ONCE)
        return Gene(gene.name, tuple(re.sub(r"\b(before|after)\.", "state.", line) for line in gene.lines))

    return of_state


_REWARDS: Mapping[About, Sequence[Idiom]] = {
    "number": (_progress, _approach, _nearness, _square, _level, _record),
    "distance": (_approach, _approach, _nearness, _record),
    "truth": (_begins, _begins, _first_time, _while),
    "code": (_begins, _begins, _first_time, _while),
}
_POTENTIALS: Mapping[About, Sequence[Callable[[Quantity, Rng, Weights], Gene]]] = {
    "number": (_nearness, _square, _level),
    "distance": (_nearness,),
    "truth": (_while,),
    "code": (_while,),
}
_IDIOMS: Mapping[Form, Mapping[About, Sequence[Idiom]]] = {
    "reward": _REWARDS,
    "potential": {about: tuple(map(_of_state, idioms)) for about, idioms in _POTENTIALS.items()},
}


def _part(name: str, value: str) -> Gene:
    return Gene(name, (f"{name} = {value}",))


def _gap(of: Quantity, place: str) -> Callable[[str], str]:
    """How far a quantity is from a place; a distance is that already."""
    if of.about == "distance":
        return of.of
    return lambda state: f"abs({of.of(state)} - {place})"


def _holding(of: Quantity, rng: Rng) -> Callable[[str], str]:
    """A truth, or whether a code has one of its values."""
    if of.about == "truth":
        return of.of
    code = code_of(of, rng)
    return lambda state: f"({of.of(state)} == {code})"


def _now(rng: Rng) -> str:
    return "after" if rng.random() < 0.8 else "before"


def _scaled(of: Quantity, rng: Rng, weights: Weights = ONCE) -> str:
    return written(_signed(rng, weights) / of.width)


def _signed(rng: Rng, weights: Weights = ONCE) -> float:
    return _weight(rng, weights) * (-1.0 if rng.random() < REVERSED else 1.0)


def _weight(rng: Rng, weights: Weights = ONCE) -> float:
    """One of a range, drawn evenly on the scale of the logarithm."""
    low, high = map(math.log, weights)
    return math.exp(rng.uniform(low, high))
