"""What a user is told while a run goes on, each thing once: bad values, tasks that never end, what episodic nodes have to say."""

from __future__ import annotations

import warnings

import numpy as np

from shapegym.shaping.errors import NonFiniteError
from shapegym.shaping.evaluation.program import Program
from shapegym.shaping.transitions import State, Transitions

ENDLESS = 1_500
"""Steps without an end in any lane after which somebody who waits for one is told: half as many again as the usual time limits."""


class Watch:
    """Follows a run.

    Args:
        program: the expression.
        pays_at_end: whether every episodic node pays at the last step of an episode, also one that need not wait for it.
    """

    def __init__(self, program: Program, *, pays_at_end: bool) -> None:
        self._program = program
        self._nodes = program.episodic_nodes
        paid = [type(node).__name__ for node in self._nodes if pays_at_end or node.waits_for_end]
        learners = [reader for reader in program.readers if reader.learned and reader.fits_on == "episodes"]
        taught = [program.name_of(reader) for reader in learners]
        self._waiting = {"pays": paid, "learns": taught}
        self.waits = bool(paid or taught)
        self._steps = 0
        self._heard: set[int] = set()
        self._zeroed: set[str] = set()

    def see(self, transitions: Transitions) -> None:
        """Take in a step while somebody waits for the first end."""
        self._steps += 1
        if ((transitions.terminated | transitions.truncated) & transitions.active).any():
            self.waits = False
        elif self._steps == ENDLESS:
            self.waits = False
            what = "; ".join(
                f"{', '.join(dict.fromkeys(names))} {does} only when one ends"
                for does, names in self._waiting.items()
                if names
            )
            warnings.warn(
                f"No episode has ended in the first {ENDLESS} steps of any lane, and {what}. If the task never ends, give it a "
                "time limit (gym.make(..., max_episode_steps=...), or a TimeLimit inside the shaping), or use what decides "
                "earlier: a Gate has per='step', per='turn' and fragments='closed'.",
                RuntimeWarning,
                stacklevel=4,
            )

    def listen(self, carries: list[State]) -> None:
        """Pass on what episodic nodes have to say."""
        for position, (node, carry) in enumerate(zip(self._nodes, carries, strict=True)):
            if position not in self._heard and (message := node.warning(carry)):
                self._heard.add(position)
                warnings.warn(message, RuntimeWarning, stacklevel=4)

    def screen(self, parts: np.ndarray, transitions: Transitions, clock: int, *, zero: bool) -> int:
        """Let values that are not finite count as 0, in place, with one warning a term; return how many rows are active.

        Args:
            parts: of transitions that happened or were stored, (N, rows), some of them not finite.
            transitions: as many rows.
            clock: the global step.
            zero: whether that is wanted.

        Raises:
            NonFiniteError: if not; names the first.
        """
        bad = ~np.isfinite(parts) & transitions.active
        index, row = map(int, np.argwhere(bad)[0])
        message = (
            f"Part {self._program.row_names[index]!r} is {parts[index, row]} in lane {row % self._program.spec.num_lanes} at "
            f"global step {clock} ({int(bad.sum())} such value(s) in this batch){self._made_of(index, bad[:, row])}."
        )
        if not zero:
            raise NonFiniteError(f"{message} Fix the term or its features, or bind with on_nonfinite='zero'.")
        for term in np.flatnonzero(bad.any(axis=1)).tolist():
            if (name := self._program.row_names[term]) not in self._zeroed:
                self._zeroed.add(name)
                text = f"{message} Counted as 0; later ones of this term are not reported."
                warnings.warn(text, RuntimeWarning, stacklevel=4)
        parts[bad] = 0.0
        return int(np.count_nonzero(transitions.active))

    def _made_of(self, index: int, bad: np.ndarray) -> str:
        """Which items of the term in row ``index`` are not finite either, of the rows that are ``bad`` in its lane."""
        rows = self._program.rows[index] if index < len(self._program.rows) else index
        items = (
            [] if isinstance(rows, int) else [self._program.row_names[row] for row in rows[1:] if bad[row]]
        )
        return f", as is {', '.join(items)}" if items else ""
