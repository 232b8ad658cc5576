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
from shapegym.agents.explore import Explored, explore
from shapegym.agents.tabulate import Tables, tabulate
from shapegym.envs.grid.dynamics import GridDynamics
from shapegym.envs.tabular.dynamics import FiniteDynamics
from shapegym.experiments.audit.maps import HeatMap, over_cells
from shapegym.experiments.audit.recording import record
from shapegym.experiments.audit.shares import Shares, exact_shares, run_shares
from shapegym.experiments.audit.walkthrough import Walkthrough, action_names, walk_through
from shapegym.shaping.audit import distance, sampled
from shapegym.shaping.audit.invariance import Certificate, certificate
from shapegym.shaping.audit.loops import find_exploit
from shapegym.shaping.audit.model import Model
from shapegym.shaping.audit.telescoping import Telescoping, telescoping
from shapegym.shaping.errors import AuditError
from shapegym.shaping.tree import guarantee_losses, guarantee_of, has_task_reward, is_episodic
from shapegym.shaping.types import Expression, Guarantee

_LOOPS_ONLY = (
    "Without a discount loops only are looked for, not behaviour that ends: take gamma < 1 for that."
)

_FORMS = {"val": "VAL", "minimal": "minimal"}


@dataclass(frozen=True)
class Distance:
    """A distance between the reward and the task's, in [0, 1]; an interval where it is an estimate."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Audit:
    """What was found out about a reward on a task.

    Attributes:
        env: id of the task.
        reward: the expression as text.
        gamma: the agent's discount.
        claimed: the guarantee of the expression.
        losses: where composition loses a guarantee.
        pays_task: whether the task reward is part of it.
        basis: what was looked at.
        notes: what a reader must know to trust it.
        certificate: None where the task is not known exactly.
        telescoping: of recorded episodes; None where tables tell.
        distances: to the task reward.
        searched: whether exploits were looked for.
        exploit: one, or None.
        shares: what kinds of behaviour are paid.
        maps: over the cells of a grid.
    """

    env: str
    reward: str
    gamma: float
    claimed: Guarantee
    losses: tuple[str, ...]
    pays_task: bool
    basis: str
    notes: tuple[str, ...] = ()
    certificate: Certificate | None = None
    telescoping: Telescoping | None = None
    distances: tuple[Distance, ...] = ()
    searched: bool = False
    exploit: Walkthrough | None = None
    shares: tuple[Shares, ...] = ()
    maps: tuple[HeatMap, ...] = field(default=(), compare=False)

    @property
    def violated(self) -> bool:
        """Whether it claims to leave the set of optimal policies alone and does not."""
        proof, claims = self.certificate, self.claimed is Guarantee.INVARIANT and self.pays_task
        return claims and proof is not None and not proof.invariant and proof.optima != "same"

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
        if self.certificate is None and self.claimed is Guarantee.INVARIANT and self.pays_task:
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
        if isinstance(getattr(env.unwrapped, "dynamics", None), FiniteDynamics):
            try:
                found = _of_tables(about, tabulate(env, expression, gamma))
                return replace(found, shares=found.shares + known)
            except TabulationError as error:
                about = replace(about, notes=(f"No tables: {error}",))
        try:
            seen = explore(env, expression, gamma, states=states, seed=seed)
            about = _of_search(about, seen, grid=isinstance(env.unwrapped.dynamics, GridDynamics))  # type: ignore[attr-defined]
        except TabulationError as error:
            if str(error) not in "".join(about.notes):
                about = replace(about, notes=(*about.notes, f"Not searched: {error}"))
        found = _of_rollouts(about, env, expression, rollouts, seed)
        return replace(found, shares=found.shares + known)
    finally:
        env.close()


def _of_tables(about: Audit, tables: Tables) -> Audit:
    """Everything, exactly."""
    P, task, shaped, terminal, gamma = tables.P, tables.task, tables.shaped, tables.terminal, tables.gamma
    finite = tables.finite
    notes = [f"Values have no time limit; shares are of episodes of at most {tables.max_steps} steps."]
    if gamma == 1:
        notes.append(_LOOPS_ONLY)
    proof: Certificate | None = None
    try:
        proof = certificate(P, task, shaped, gamma, terminal, tables.start)
    except AuditError as error:
        notes.append(f"No certificate: {error}")
    found = find_exploit(P, task, shaped, gamma, terminal=terminal, start=tables.start)
    actions = action_names(finite.n_actions, grid=False)
    states = [{name: table[s] for name, table in finite.features.items()} for s in range(finite.n_states)]
    events = {
        (int(s), int(a), int(finite.next_state[s, a, k])): finite.captions[finite.event[s, a, k]]
        for s, a, k in zip(*np.nonzero(finite.event), strict=True)
    }
    uniform = np.full((finite.n_states, finite.n_actions), 1 / finite.n_actions)
    behaviours = {"random": uniform}
    if gamma < 1:
        model = Model.of(P, gamma, terminal)
        for name, reward in (("optimal for the task", task), ("optimal for this reward", shaped)):
            best = model.best_q(model.expected(reward)).argmax(axis=1)
            behaviours[name] = np.eye(finite.n_actions)[best]
    return replace(
        about,
        basis=f"tables of {finite.n_states} states and {finite.n_actions} actions: exact",
        notes=(*about.notes, *notes),
        certificate=proof,
        distances=tuple(_distances(P, task, shaped, gamma, terminal)),
        searched=True,
        exploit=walk_through(found, states, actions, events),
        shares=tuple(exact_shares(tables, name, policy) for name, policy in behaviours.items()),
        maps=_maps(P, task, shaped, terminal, tables.start, proof, states, grid=False),
    )


def _of_search(about: Audit, seen: Explored, *, grid: bool) -> Audit:
    """Exploits and heat maps of what a search saw; a certificate if that is the whole task."""
    gamma = about.gamma
    found = find_exploit(
        seen.P,
        seen.task,
        seen.shaped,
        gamma,
        terminal=seen.terminal,
        start=seen.start,
        allowed=seen.allowed,
    )
    proof: Certificate | None = None
    distances: tuple[Distance, ...] = ()
    if seen.complete:
        distances = tuple(_distances(seen.P, seen.task, seen.shaped, gamma, seen.terminal))
        with suppress(AuditError):
            proof = certificate(seen.P, seen.task, seen.shaped, gamma, seen.terminal, seen.start)
    events = {
        (int(s), int(a), int(seen.P[s, a].argmax())): seen.captions[seen.events[s, a]]
        for s, a in zip(*np.nonzero(seen.events), strict=True)
    }
    whole = "all: the numbers are exact for this start" if seen.complete else "a part of them"
    notes = [f"Searched {len(seen.P)} states from the start of one episode by snapshots, {whole}."]
    if seen.drawn:
        notes.append(
            "Outcomes are a matter of chance; of each action one outcome was drawn, so nothing is proved."
        )
    if gamma == 1:
        notes.append(_LOOPS_ONLY)
    solved = bool((seen.task > 0).any())
    if not solved:
        notes.append(
            "The task paid nothing there, so there is no solution to compare with: search more states."
        )
    return replace(
        about,
        basis="search by snapshots and recorded episodes",
        notes=(*about.notes, *notes),
        certificate=proof,
        distances=distances,
        searched=solved,
        exploit=walk_through(found, seen.features, action_names(seen.P.shape[1], grid=grid), events),
        maps=_maps(
            seen.P, seen.task, seen.shaped, seen.terminal, seen.start, proof, seen.features, grid=grid
        ),
    )


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
        notes.append("Sampled distances are biased upwards; EPIC and DARD need a task with tables.")
        for form in ("val", "minimal"):
            name = f"STARC ({_FORMS[form]})"
            try:
                estimate = sampled.starc(rollouts, "task", "shaped", about.gamma, canonical=form)
                distances.append(Distance(name, estimate.distance, estimate.low, estimate.high))
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


def _distances(
    P: NDArray[Any], task: NDArray[Any], shaped: NDArray[Any], gamma: float, terminal: NDArray[np.bool_]
) -> Iterator[Distance]:
    """Those that are defined."""
    for name, compute in (
        (f"STARC ({_FORMS['val']})", distance.starc),
        (f"STARC ({_FORMS['minimal']})", partial(distance.starc, canonical="minimal")),
        ("EPIC", distance.epic),
        ("DARD", distance.dard),
    ):
        with suppress(AuditError):  # gamma = 1 and a policy that need not end
            yield Distance(name, float(compute(P, task, shaped, gamma, terminal=terminal)))
    yield Distance("raw L2", float(distance.raw_l2(P, task, shaped, terminal=terminal)))


def _maps(
    P: NDArray[Any],
    task: NDArray[Any],
    shaped: NDArray[Any],
    terminal: NDArray[np.bool_],
    start: NDArray[Any],
    proof: Certificate | None,
    states: Sequence[Mapping[str, Any]],
    *,
    grid: bool,
) -> tuple[HeatMap, ...]:
    """Of tasks with the feature agent_pos in a plane; positions are (row, column), of grid worlds (x, y)."""
    if not states or "agent_pos" not in states[0] or np.shape(states[0]["agent_pos"]) != (2,):
        return ()
    model = Model.of(P, 0.0, terminal)
    live = np.flatnonzero(model.reachable(start) & ~terminal)
    positions = np.array([states[s]["agent_pos"] for s in live.tolist()])
    if positions.dtype.kind not in "iu":
        return ()
    positions = positions[:, ::-1] if grid else positions
    tables = {"task reward, mean over actions": task, "this reward, mean over actions": shaped}
    maps = [
        over_cells(title, positions, model.expected(table).mean(axis=1)[live])
        for title, table in tables.items()
    ]
    if proof is not None:
        title = "potential" if proof.relation == "potential" else "potential that fits best"
        maps.append(over_cells(title, positions, proof.potential[live]))
    return tuple(maps)
