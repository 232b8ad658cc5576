"""Parts of a task that are known: from its tables, or by trying every action in the states that turn up.

A search begins at the start of an episode, and where somebody knows a way to solve it, in all states of that way; so what is known
has a solution in it, also where there are too many states for all of them to be seen. Real numbers in states are cut into bins, and
an action is then held until the bin is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shapegym.agents.programs.trials import Trials, Tried
from shapegym.envs.dynamics import State
from shapegym.envs.finite_task import FiniteTask
from shapegym.envs.grid.grid_dynamics import GridDynamics
from shapegym.envs.grid.planner import plan_actions
from shapegym.shaping.programs.critic.known import Known

Array = NDArray[Any]

_HOLD = 10
"""Steps for which an action is held at most, until its bin is left."""
_SLACK = 1.0
"""Steps by which ways over bins may be longer than they look."""


@dataclass
class Rows:
    """Transitions, a block after the other."""

    names: Sequence[str]
    before: dict[str, list[Array]] = field(default_factory=dict)
    after: dict[str, list[Array]] = field(default_factory=dict)
    others: dict[str, list[Array]] = field(default_factory=dict)
    count: int = 0

    def add(self, before: Mapping[str, Array], after: Mapping[str, Array], **others: Array) -> None:
        """Append transitions: features of both sides, and action, reward, terminated, success."""
        for name in self.names:
            self.before.setdefault(name, []).append(as_read(before[name]))
            self.after.setdefault(name, []).append(as_read(after[name]))
        for name, values in others.items():
            self.others.setdefault(name, []).append(values)
        self.count += len(others["reward"])


def as_read(values: Array) -> Array:
    """A feature as programs read it: true or false, numbers, or flat vectors of numbers."""
    flat = values.reshape(len(values), -1) if values.ndim > 1 else values
    return flat if flat.dtype == np.bool_ and flat.ndim == 1 else flat.astype(np.float64)


def known_of_tables(task: FiniteTask, rows: Rows, gamma: float) -> Known:
    """All of a finite task, but its terminal states, in which there is nothing to do."""
    s, a, k = np.nonzero((task.probability > 0) & ~task.terminal[:, None, None])
    to = task.next_state[s, a, k]
    tables = {"state": np.arange(task.n_states), **task.features}
    nothing = np.zeros(len(s), np.int64)
    before = {name: table[s] for name, table in tables.items()}
    after = {name: table[to] for name, table in tables.items()}
    success, event = task.success[s, a, k], task.event[s, a, k]
    first = rows.count
    rows.add(
        {**before, "success": nothing > 0, "event": nothing},
        {**after, "success": success, "event": event},
        action=a,
        reward=task.reward[s, a, k],
        terminated=task.terminal[to],
        success=success,
    )
    live = ~task.terminal
    number = np.cumsum(live) - 1
    source = number[s]
    group = source * task.n_actions + a
    first_edge = np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))
    reward = task.reward[s, a, k]
    return Known(
        first_group=np.searchsorted(source[first_edge[:-1]], np.arange(live.sum() + 1)),
        first_edge=first_edge,
        target=np.where(task.terminal[to], source, number[to]),
        probability=task.probability[s, a, k],
        steps=np.ones(len(s), np.int64),
        ends=task.terminal[to],
        start=task.start[live],
        rows=first + np.arange(len(s) + 1),
        gain=gain_of(reward, success),
        task=reward,
        gamma=gamma,
    )


def gain_of(reward: Array, success: Array) -> Array:
    """What a step is worth to the task: success alone, if nothing else is ever rewarded; else the reward."""
    if success.any() and not (reward[~success] > 0).any():
        return success.astype(np.float64)
    return np.asarray(reward, np.float64)


def known_by_search(trials: Trials, seed: int, most: int, rows: Rows, gamma: float) -> Known | None:
    """The states around one start of an episode; None if no way on was found."""
    search = _Search(trials, most)
    search.run(trials.begin(range(seed, seed + 1)))
    return search.known(rows, gamma)


class _Search:
    """Breadth first, all states of a level at a time."""

    def __init__(self, trials: Trials, most: int) -> None:
        self.trials, self.most = trials, most
        self.number: dict[bytes, int] = {}
        self.hold = 1 if trials.widths is None else _HOLD
        self.edges: list[dict[str, Array]] = []
        self.steps: list[tuple[Mapping[str, Array], Tried, Array, Array]] = []
        self.made = 0

    def run(self, start: State) -> None:
        level = self._new(_joined([start, *self._way(start)]))
        expanded = 0
        while len(level[1]) and expanded < self.most:
            states, numbers = level
            room = self.most - expanded
            numbers, states = numbers[:room], {name: values[:room] for name, values in states.items()}
            expanded += len(numbers)
            level = self._expand(states, numbers)

    def _way(self, start: State) -> list[State]:
        """The states on a way that solves the task, where somebody knows one."""
        dynamics, states, state = self.trials.dynamics, [], start
        if isinstance(dynamics, GridDynamics):
            for _ in range(dynamics.max_steps):
                tried = self.trials.step(state, plan_actions(dynamics, state))
                if tried.terminated[0]:
                    break
                states.append(state := tried.state)
        return states

    def _new(self, states: State) -> tuple[State, Array]:
        """Of states those that were not met before, and their numbers."""
        fresh, numbers = [], []
        for row, key in enumerate(self.trials.keys(states)):
            if key not in self.number:
                numbers.append(self.number.setdefault(key, len(self.number)))
                fresh.append(row)
        return {name: values[fresh] for name, values in states.items()}, np.array(numbers, np.int64)

    def _expand(self, states: State, numbers: Array) -> tuple[State, Array]:
        """Take every action in each state; return the states that are new."""
        choices = len(self.trials.actions)
        lanes = len(numbers) * choices
        action = np.tile(np.arange(choices), len(numbers))
        state = {name: np.repeat(values, choices, axis=0) for name, values in states.items()}
        edge = self.made + np.arange(lanes)
        self.made += lanes
        own = [key for key in self.trials.keys(states) for _ in range(choices)]
        target, steps = np.full(lanes, -1), np.zeros(lanes, np.int64)
        ends, success, reward = np.zeros(lanes, np.bool_), np.zeros(lanes, np.bool_), np.zeros(lanes)
        going = np.arange(lanes)
        features = self.trials.measure(state)
        final = {name: values.copy() for name, values in state.items()}
        for _ in range(self.hold):
            tried = self.trials.step(state, self.trials.actions[action[going]])
            self.steps.append((features, tried, action[going], edge[going]))
            steps[going] += 1
            reward[going] += tried.reward
            ends[going], success[going] = tried.terminated, tried.success
            for name, values in tried.state.items():
                final[name][going] = values
            if self.hold == 1:
                break
            keys = self.trials.keys(tried.state)
            stay = ~tried.terminated & np.array(
                [key == own[lane] for key, lane in zip(keys, going, strict=True)], np.bool_
            )
            if not stay.any():
                break
            state = {name: values[stay] for name, values in tried.state.items()}
            features = {name: values[stay] for name, values in tried.features.items()}
            going = going[stay]
        on = np.flatnonzero(~ends)
        fresh = self._new({name: values[on] for name, values in final.items()})
        keys = self.trials.keys({name: values[on] for name, values in final.items()})
        target[on] = [self.number[key] for key in keys]
        self.edges.append(
            {
                "source": np.repeat(numbers, choices),
                "target": target,
                "steps": steps,
                "ends": ends,
                "success": success,
                "reward": reward,
                "edge": edge,
            }
        )
        return fresh

    def known(self, rows: Rows, gamma: float) -> Known | None:
        """What was found, without states from which all ways lead out of it."""
        table = {name: np.concatenate([level[name] for level in self.edges]) for name in self.edges[0]}
        kept = np.zeros(len(self.number), np.bool_)
        kept[table["source"]] = True
        while True:
            inside = kept[table["source"]] & (table["ends"] | kept[table["target"]])
            alive = np.zeros_like(kept)
            alive[table["source"][inside]] = True
            if (alive == kept).all():
                break
            kept = alive
        if not kept[0]:
            return None
        chosen = np.flatnonzero(inside)
        chosen = chosen[np.argsort(table["source"][chosen], kind="stable")]
        table = {name: values[chosen] for name, values in table.items()}
        renumbered = np.cumsum(kept) - 1
        source, states = renumbered[table["source"]], int(kept.sum())
        return Known(
            first_group=np.searchsorted(source, np.arange(states + 1)),
            first_edge=np.arange(len(source) + 1),
            target=np.where(table["ends"], source, renumbered[table["target"]]),
            probability=np.ones(len(source)),
            steps=table["steps"],
            ends=table["ends"],
            start=np.eye(1, states)[0],
            rows=self._rows(table["edge"], rows),
            gain=gain_of(table["reward"], table["success"]),
            task=table["reward"],
            gamma=gamma,
            slack=0.0 if self.hold == 1 else _SLACK,
        )

    def _rows(self, edges: Array, rows: Rows) -> Array:
        """Record the steps of these edges, in their order; return where each begins."""
        place = np.full(self.made, -1)
        place[edges] = np.arange(len(edges))
        edge = np.concatenate([step[3] for step in self.steps])
        order = np.flatnonzero(place[edge] >= 0)
        order = order[np.argsort(place[edge[order]], kind="stable")]
        first = rows.count

        def column(values: list[Array]) -> Array:
            return np.concatenate(values)[order]

        rows.add(
            {name: column([before[name] for before, *_ in self.steps]) for name in rows.names},
            {name: column([tried.features[name] for _, tried, *_ in self.steps]) for name in rows.names},
            action=self.trials.actions[column([step[2] for step in self.steps])],
            reward=column([step[1].reward for step in self.steps]),
            terminated=column([step[1].terminated for step in self.steps]),
            success=column([step[1].success for step in self.steps]),
        )
        return first + np.searchsorted(place[edge[order]], np.arange(len(edges) + 1))


def _joined(states: Sequence[State]) -> State:
    return {name: np.concatenate([state[name] for state in states]) for name in states[0]}
