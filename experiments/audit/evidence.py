"""Everything that an audit finds out, computed: exactly where the task has tables, else from what a search or a recording shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.agents.environments import make_env, with_features
from shapegym.agents.errors import TabulationError
from shapegym.agents.finite.explore import Explored, explore
from shapegym.agents.finite.tabulate import Tables, tabulate
from shapegym.experiments.audit.maps import HeatMap, over_cells
from shapegym.experiments.audit.recording import record
from shapegym.experiments.audit.shares import Shares, exact_shares, run_shares
from shapegym.experiments.audit.walkthrough import Walkthrough, action_names, walk_through
from shapegym.shaping.audit import exact, sampled
from shapegym.shaping.audit.invariance import Certificate, certificate
from shapegym.shaping.audit.loops import find_exploit
from shapegym.shaping.audit.mdp import MDP
from shapegym.shaping.audit.telescoping import Telescoping, telescoping
from shapegym.shaping.errors import AuditError
from shapegym.shaping.promises import Guarantee, Keeps
from shapegym.shaping.tree import guarantee_losses, guarantee_of, has_task_reward
from shapegym.shaping.types import Expression, is_episodic

_LOOPS_ONLY = (
    "Without a discount loops only are looked for, not behaviour that ends: take gamma < 1 for that."
)

_FORMS = {"val": "VAL", "minimal": "minimal"}


@dataclass(frozen=True)
class RewardDistance:
    """A distance between the reward and the task's, in [0, 1]; an interval where it is an estimate."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Audit:
    """What was found out about a reward on a task."""

    env: str  # id of the task
    reward: str  # the expression as text
    gamma: float  # the agent's discount
    claimed: Guarantee  # the guarantee of the expression
    losses: tuple[str, ...]  # where composition loses a guarantee
    pays_task: bool  # whether the task reward is part of it
    basis: str  # what was looked at
    notes: tuple[str, ...] = ()  # what a reader must know to trust it
    certificate: Certificate | None = None  # None where the task is not known exactly
    telescoping: Telescoping | None = None  # of recorded episodes; None where tables tell
    distances: tuple[RewardDistance, ...] = ()  # to the task reward
    exact: bool = False  # whether the whole task was looked at, and no part of it by chance
    searched: bool = False  # whether exploits were looked for
    exploit: Walkthrough | None = None  # one, or None
    shares: tuple[Shares, ...] = ()  # what kinds of behaviour are paid
    maps: tuple[HeatMap, ...] = field(default=(), compare=False)  # over the cells of a grid

    @property
    def proved(self) -> bool:
        """Whether it is known, and not only guessed from samples: exactly, by an exploit, or by how the expression is made."""
        return self.exact or self.exploit is not None or self._invariant_by_construction

    @property
    def _invariant_by_construction(self) -> bool:
        return Keeps.POLICIES in self.claimed.keeps and self.pays_task

    @property
    def violated(self) -> bool:
        """Whether it claims to leave the set of optimal policies alone and does not."""
        proof = self.certificate
        fails = proof is not None and not proof.invariant and proof.optima != "same"
        return self._invariant_by_construction and fails

    @property
    def sound(self) -> bool:
        """No exploit was found and no claim is violated."""
        return self.exploit is None and not self.violated

    @property
    def verdict(self) -> str:
        """The headline."""
        if self.exploit is not None:
            return "Exploit: " + self.exploit.summary
        if self.violated:
            return (
                "Claim violated: the expression claims to leave optimal policies alone, and here it does not."
            )
        if self.certificate is not None and self.certificate.invariant:
            return "Sound: on this task it orders all policies as the task does."
        if self.certificate is None and self._invariant_by_construction:
            return "Invariant by its construction; this task has no tables to check that exactly."
        if not self.searched:
            return "Nothing is proved: this reward was only recorded on this task."
        if self.certificate is not None and self.certificate.optima != "other":
            return "No exploit: what is optimal for this reward is optimal for the task."
        if self.certificate is not None:
            return "No exploit, but some policies that are optimal for this reward are not for the task."
        return "No loop pays more than the task's solution." if self.gamma == 1 else "No exploit found."


def audit(
    env_id: str,
    expression: Expression,
    gamma: float,
    *,
    rollouts: int = 200,
    states: int = 500,
    seed: int = 0,
    run: Path | None = None,
) -> Audit:
    """Audit a reward on a task.

    Args:
        env_id: of the task.
        expression: the reward.
        gamma: the agent's discount.
        rollouts: random episodes that are recorded where there are no tables.
        states: that are searched where there are no tables but snapshots.
        seed: of these.
        run: a run folder whose training episodes tell shares too.

    Raises:
        AgentError, ShapingError, RunError: the reward does not fit the task, or the folder is no run.
    """
    about = Audit(
        env_id,
        str(expression),
        gamma,
        guarantee_of(expression),
        tuple(map(str, guarantee_losses(expression))),
        has_task_reward(expression),
        basis="",
    )
    known = (run_shares(run),) if run is not None else ()
    env = make_env(env_id, **with_features(env_id, expression, {}))
    try:
        try:
            found = _of_tables(about, tabulate(env, expression, gamma, states=0))
            return replace(found, shares=found.shares + known)
        except TabulationError as error:
            about = replace(about, notes=(f"No tables: {error}",))
        try:
            seen = explore(env, expression, gamma, states=states, seed=seed)
            about = _of_search(about, seen)
        except TabulationError as error:
            if str(error) not in "".join(about.notes):
                about = replace(about, notes=(*about.notes, f"Not searched: {error}"))
        found = _of_rollouts(about, env, expression, rollouts, seed)
        return replace(found, shares=found.shares + known)
    finally:
        env.close()


def _of_tables(about: Audit, tables: Tables) -> Audit:
    """Everything, exactly."""
    finite, gamma = tables.finite, tables.gamma
    notes = [
        f"Values have no time limit; shares are of episodes of at most {tables.max_steps} steps.",
        *tables.notes,
    ]
    if gamma == 1:
        notes.append(_LOOPS_ONLY)
    proof: Certificate | None = None
    try:
        proof = _certificate(tables, gamma)
    except AuditError as error:
        notes.append(f"No certificate: {error}")
    states = [{name: table[s] for name, table in finite.features.items()} for s in range(finite.n_states)]
    events = {
        (int(s), int(a), int(finite.next_state[s, a, k])): finite.captions[finite.event[s, a, k]]
        for s, a, k in zip(*np.nonzero(finite.event), strict=True)
    }
    behaviours = {"random": np.full((finite.n_states, finite.n_actions), 1 / finite.n_actions)}
    if gamma < 1:
        mdp = MDP.of(tables.P, gamma, tables.terminal)
        for name, reward in (
            ("optimal for the task", tables.task),
            ("optimal for this reward", tables.shaped),
        ):
            best = mdp.best_q(mdp.expected(reward)).argmax(axis=1)
            behaviours[name] = np.eye(finite.n_actions)[best]
    return replace(
        _of_model(about, tables, states, events, proof, names=tables.action_names),
        basis=f"tables of {finite.n_states} states and {finite.n_actions} actions: exact",
        notes=(*about.notes, *notes),
        distances=tuple(_distances(tables, gamma)),
        exact=True,
        searched=True,
        shares=tuple(exact_shares(tables, name, policy) for name, policy in behaviours.items()),
    )


def _of_search(about: Audit, seen: Explored) -> Audit:
    """Exploits and heat maps of what a search saw; a certificate if that is the whole task."""
    proof: Certificate | None = None
    if seen.complete:
        with suppress(AuditError):
            proof = _certificate(seen, about.gamma)
    events = {
        (int(s), int(a), int(seen.P[s, a].argmax())): seen.captions[seen.events[s, a]]
        for s, a in zip(*np.nonzero(seen.events), strict=True)
    }
    whole = "all of them: the numbers are exact" if seen.complete else f"not the whole task: {seen.flaw}"
    solved = bool((seen.task > 0).any())
    notes = {
        f"Searched {len(seen.P)} states from the start of one episode, {whole}.": True,
        "Outcomes are a matter of chance; of each action one outcome was drawn, so nothing is proved.": seen.drawn,
        _LOOPS_ONLY: about.gamma == 1,
        "The task paid nothing there, so there is no solution to compare with: search more states.": not solved,
    }
    return replace(
        _of_model(
            about,
            seen,
            seen.features,
            events,
            proof,
            names=seen.action_names,
            grid=seen.columns_first,
            allowed=seen.allowed,
        ),
        basis="a search and recorded episodes",
        notes=(*about.notes, *(note for note, holds in notes.items() if holds)),
        distances=tuple(_distances(seen, about.gamma)) if seen.complete else (),
        exact=seen.complete,
        searched=solved,
    )


def _of_model(
    about: Audit,
    known: Tables | Explored,
    states: Sequence[Mapping[str, Any]],
    events: Mapping[tuple[int, int, int], str],
    proof: Certificate | None,
    *,
    names: Sequence[str] = (),
    grid: bool = False,
    allowed: NDArray[np.bool_] | None = None,
) -> Audit:
    """What a finite model shows, however it came about: an exploit, and where on a plane what is paid."""
    found = find_exploit(
        known.P,
        known.task,
        known.shaped,
        about.gamma,
        terminal=known.terminal,
        start=known.start,
        allowed=allowed,
    )
    called = action_names(known.P.shape[1], names)
    walk = walk_through(found, states, called, events)
    return replace(about, certificate=proof, exploit=walk, maps=_maps(known, proof, states, grid=grid))


def _certificate(known: Tables | Explored, gamma: float) -> Certificate:
    return certificate(known.P, known.task, known.shaped, gamma, known.terminal, known.start)


def _of_rollouts(about: Audit, env: gym.Env, expression: Expression, episodes: int, seed: int) -> Audit:
    """Distances and shares of recorded episodes of the random policy."""
    recorded = record(env, expression, about.gamma, episodes, seed)
    rollouts = recorded.rollouts
    notes = [
        f"Recorded {rollouts.episodes} episodes of random actions, {len(rollouts.step):,} steps; "
        f"{rollouts.dropped} steps of unfinished episodes left out."
    ]
    distances, straight = list(about.distances), None
    if not distances and not rollouts.reward("task").any():
        notes.append(
            "No distances: random actions were never paid by the task, and from a reward of zeros none can be told."
        )
    elif not distances:
        notes.append(
            "Sampled distances are biased, small ones upwards; EPIC and DARD need a task with tables."
        )
        for form in ("val", "minimal"):
            name = f"STARC ({_FORMS[form]})"
            try:
                estimate = sampled.starc(rollouts, "task", "shaped", about.gamma, canonical=form)
                distances.append(RewardDistance(name, estimate.distance, estimate.low, estimate.high))
            except AuditError as error:
                notes.append(f"No {name}: {error}")
    if is_episodic(expression):
        notes.append(
            "What is known only in hindsight was paid at the end of each episode, so nothing telescopes."
        )
    elif about.certificate is None:
        try:
            straight = telescoping(rollouts, "shaping", about.gamma)
            if straight.unexplained > 1:  # the fit explains less than nothing would
                straight = None
                notes.append(
                    "No telescoping test: too few episodes to fit a potential to their observations."
                )
        except AuditError as error:
            notes.append(f"No telescoping test: {error}")
    return replace(
        about,
        basis=about.basis or "recorded episodes",
        notes=(*about.notes, *notes),
        telescoping=straight,
        distances=tuple(distances),
        shares=(recorded.shares,),
    )


def _distances(known: Tables | Explored, gamma: float) -> Iterator[RewardDistance]:
    """Those that are defined."""
    rewards = (known.P, known.task, known.shaped)
    for name, compute in (
        (f"STARC ({_FORMS['val']})", exact.starc),
        (f"STARC ({_FORMS['minimal']})", partial(exact.starc, canonical="minimal")),
        ("EPIC", exact.epic),
        ("DARD", exact.dard),
    ):
        with suppress(AuditError):  # gamma = 1 and a policy that need not end
            yield RewardDistance(name, float(compute(*rewards, gamma, terminal=known.terminal)))
    yield RewardDistance("raw L2", float(exact.raw_l2(*rewards, terminal=known.terminal)))


def _maps(
    known: Tables | Explored, proof: Certificate | None, states: Sequence[Mapping[str, Any]], *, grid: bool
) -> tuple[HeatMap, ...]:
    """Of tasks with the feature agent_pos in a plane; positions are (row, column), of grid worlds (x, y)."""
    if not states or "agent_pos" not in states[0] or np.shape(states[0]["agent_pos"]) != (2,):
        return ()
    mdp = MDP.of(known.P, 0.0, known.terminal)
    live = np.flatnonzero(mdp.reachable(known.start) & ~known.terminal)
    positions = np.array([states[s]["agent_pos"] for s in live.tolist()])
    if positions.dtype.kind not in "iu":
        return ()
    positions = positions[:, ::-1] if grid else positions
    tables = {"task reward, mean over actions": known.task, "this reward, mean over actions": known.shaped}
    maps = [
        over_cells(title, positions, mdp.expected(table).mean(axis=1)[live])
        for title, table in tables.items()
    ]
    if proof is not None:
        title = "potential" if proof.relation == "potential" else "potential that fits best"
        maps.append(over_cells(title, positions, proof.potential[live]))
    return tuple(maps)
