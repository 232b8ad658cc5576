"""Whether what a file says an engine remembers can be what this engine remembers, asked before anything of it is used."""

from __future__ import annotations

from collections.abc import Iterator

from annotated_types import Ge

from shapegym.shaping.evaluation.program import Program
from shapegym.shaping.remembered import COUNTS, GROWS, At, Remembers, misfits
from shapegym.shaping.transitions import State

_OWN: Remembers = {
    "clock": COUNTS,
    "ledger/books": (At(0, COUNTS),),  # lengths of the open episodes
    "tape/lengths": COUNTS,
    "tape/parts": (GROWS,),
    "answers/position": COUNTS,
    "answers/clock": (Ge(-1), COUNTS[1]),
}
_ELSEWHERE = ("models", "experience")
"""What compares for itself: memories of models, and the `Recorder`."""


def obstacles(program: Program, state: State, current: State) -> Iterator[str]:
    """Yield why an engine cannot go on from ``state``: another form than its own, or numbers that cannot be.

    Stop at the first: what follows takes for granted that there was none.

    Args:
        program: of the engine.
        state: what it would remember.
        current: what it remembers now.
    """
    states = {
        name: term.init(program.spec) for name, term in zip(program.term_names, program.terms, strict=True)
    }
    carries = dict(enumerate(program.fresh_carries(program.spec.num_lanes)))
    fresh = {**current, "terms": states, "carries": {str(index): carry for index, carry in carries.items()}}
    remembers = {
        **_OWN,
        **{
            f"{room}/{name}/{path}": limits
            for room, nodes in (
                ("terms", zip(program.term_names, program.terms, strict=True)),
                ("carries", enumerate(program.episodic_nodes)),
            )
            for name, node in nodes
            for path, limits in node.remembers.items()
        },
    }
    yield from misfits(_without(state), _without(fresh), remembers)
    for name, term in zip(program.term_names, program.terms, strict=True):
        try:
            term.check_state(state["terms"][name], states[name])
        except Exception as error:  # a stranger's raises what it likes
            yield f"holds what {name!r} cannot have remembered: {error}."


def _without(state: State) -> State:
    return {key: value for key, value in state.items() if key not in _ELSEWHERE}
