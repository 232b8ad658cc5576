"""The parts of episodes that are still open, for surfaces that settle an episode when it ends."""

from __future__ import annotations

import numpy as np

from shapegym.shaping.evaluation.program import Program
from shapegym.shaping.transitions import Episodes, State, Transitions
from shapegym.shaping.types import is_episodic

_PAGE = 64  # steps


class Tape:
    """Parts of every step of each lane's open episode, in pages that lanes take and give back: a lane keeps its own steps only.

    Attributes:
        lengths: steps of each lane's open episode so far, (B,) int64.
    """

    def __init__(self, num_terms: int, num_lanes: int) -> None:
        self.lengths = np.zeros(num_lanes, dtype=np.int64)
        self._pages = np.zeros((0, _PAGE, num_terms))
        self._free: list[int] = []
        self._taken: list[list[int]] = [[] for _ in range(num_lanes)]
        self._last = np.zeros(num_lanes, dtype=np.int64)  # of each lane's pages

    def append(self, parts: np.ndarray, transitions: Transitions | Episodes) -> None:
        """Add the parts (N, B) of the active rows of one step."""
        self.forget(transitions.first & transitions.active)
        lanes = np.flatnonzero(transitions.active)
        places = self.lengths[lanes] % _PAGE
        for lane in lanes[places == 0].tolist():
            self._last[lane] = page = self._take_page()
            self._taken[lane].append(page)
        self._pages[self._last[lanes], places] = parts[:, lanes].T
        self.lengths[lanes] += 1

    def forget(self, lanes: np.ndarray) -> None:
        """Give up the open episodes of the lanes of a (B,) mask."""
        for lane in np.flatnonzero(lanes & (self.lengths > 0)).tolist():
            self._free += self._taken[lane]
            self._taken[lane] = []
            self.lengths[lane] = 0

    def close(self, lanes: np.ndarray, terminated: np.ndarray) -> tuple[np.ndarray, Episodes]:
        """Return the whole episodes of ``lanes`` as a block (N, T, len(lanes)) in which all end at the last step, and forget them.

        The rows before a shorter episode are inactive.
        """
        lengths = self.lengths[lanes]
        longest = int(lengths.max())
        rows = np.arange(longest)[:, None] - (longest - lengths)
        parts = np.zeros((self._pages.shape[2], longest, len(lanes)))
        for column, lane in enumerate(lanes.tolist()):
            parts[:, longest - lengths[column] :, column] = self._steps(lane).T
        self.forget(np.isin(np.arange(len(self.lengths)), lanes))
        last = np.zeros(rows.shape, dtype=bool)
        last[-1] = True
        return parts, Episodes(rows == 0, last & terminated, last & ~terminated, rows >= 0)

    def state_dict(self) -> State:
        """Return the open episodes: ``parts`` of all steps, one lane after the other, (sum of ``lengths``, N)."""
        steps = [self._steps(lane) for lane in range(len(self.lengths))]
        return {"parts": np.concatenate(steps), "lengths": self.lengths.copy()}

    def check_state(self, state: State) -> None:
        """Raise a ValueError if the steps of the open episodes are not all there; the form is known to be right."""
        if state["parts"].shape != (steps := int(state["lengths"].sum()), self._pages.shape[2]):
            raise ValueError(
                f"its tape is of {state['parts'].shape}, and its open episodes have {steps} steps"
            )

    def load_state_dict(self, state: State) -> None:
        """Continue from `state_dict`."""
        self.__init__(self._pages.shape[2], len(self.lengths))  # type: ignore[misc]  # everything anew
        self.lengths[:] = state["lengths"]
        stops = np.cumsum(self.lengths)
        for lane, (start, stop) in enumerate(zip(stops - self.lengths, stops, strict=True)):
            for place in range(start, stop, _PAGE):
                page = self._take_page()
                self._taken[lane].append(page)
                self._last[lane] = page
                steps = state["parts"][place : min(place + _PAGE, stop)]
                self._pages[page, : len(steps)] = steps

    def _steps(self, lane: int) -> np.ndarray:
        """Return the steps of a lane's open episode, (length, N)."""
        rows = self._pages[self._taken[lane]].reshape(-1, self._pages.shape[2])
        return rows[: self.lengths[lane]]

    def _take_page(self) -> int:
        if not self._free:
            count = len(self._pages)
            grown = max(1, count)
            self._pages = np.concatenate([self._pages, np.zeros((grown, *self._pages.shape[1:]))])
            self._free = list(range(count, count + grown))
        return self._free.pop()


def pay_at_end(
    program: Program,
    tape: Tape,
    parts: np.ndarray,
    transitions: Transitions | Episodes,
    carries: list[State],
    contributions: np.ndarray,
) -> None:
    """Write what each addend pays at one step, (K, B): now, or of an episodic one the sum over an episode at its last step.

    Args:
        program: the expression.
        tape: the open episodes, which the step is added to.
        parts: of the step, (N, B).
        transitions: of the step.
        carries: what episodic nodes remember of a run; episodes are whole here, and leave nothing else.
        contributions: output.
    """
    tape.append(parts, transitions)
    waits = [is_episodic(node) for node in program.addends]
    waits += [False] * (len(program.evaluators) - len(waits))  # items are known at their step
    for index, evaluate in enumerate(program.evaluators):
        contributions[index] = 0.0 if waits[index] else evaluate(parts, None, carries)
    lanes = np.flatnonzero((transitions.terminated | transitions.truncated) & transitions.active)
    if not len(lanes):
        return
    block, episodes = tape.close(lanes, transitions.terminated[lanes])
    whole = program.fresh_carries(len(lanes))
    for carry, kept in zip(whole, carries, strict=True):
        carry.update({"run": kept["run"]} if "run" in kept else {})
    for index, evaluate in enumerate(program.evaluators):
        if waits[index]:
            paid = evaluate(block, episodes, whole)
            contributions[index, lanes] = np.where(episodes.active, paid, 0.0).sum(axis=0)


def whole_episode(length: int, terminated: bool) -> Episodes:
    """Return the segments of a one-lane block that is exactly one finished episode."""
    first, last = np.zeros((length, 1), dtype=bool), np.zeros((length, 1), dtype=bool)
    first[0], last[-1] = True, True
    nothing = np.zeros_like(first)
    return Episodes(
        first, last if terminated else nothing, nothing if terminated else last, np.ones_like(first)
    )
