"""Occupancy-measure regularisation: what it costs to be where a trusted base policy is not.

A proxy reward that agrees with the task where the base policy goes says little about states where it does not go, and that is where
it is hacked. A discriminator tells the transitions of the current policy from recorded ones of the base policy; its output is the
log-ratio of the two occupancies, and from that comes the gradient of a divergence between them as a reward per step.
Source: Laidlaw, Singhal & Dragan 2024, "Correlated Proxies" (ORPO), sections 4 and 5. `shapegym.agents.occupancy` has the same
exactly, for finite tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from shapegym.shaping.checks import is_integer, is_number
from shapegym.shaping.errors import BaseDataError, ExpressionError, ObservationError
from shapegym.shaping.models.base_data import BaseData, load_base, texts_of
from shapegym.shaping.models.perceptron import descend, fresh, gradient, outputs
from shapegym.shaping.terms.select import selector
from shapegym.shaping.terms.states import features_of
from shapegym.shaping.transitions import Features, Observation, Spec, State, Transitions
from shapegym.shaping.types import Guarantee, Replay, Term

Array = NDArray[np.float64]

FEWEST_ROWS = 16
"""Base data of fewer rows says nothing about where a policy goes."""

_BATCH = 256
_LIMIT = 10.0
"""Log-ratios are clipped to +-this before they are exponentiated."""
_CONSTANT = 1e-12
"""A column whose standard deviation is below this share of its largest number is constant: the rest is rounding."""
_TRIM = 0.01
"""Share of the highest and of the lowest ratios that the estimate of chi2 leaves out."""


@dataclass(frozen=True)
class OccupancyPenalty(Term):
    """p_t = -penalty(d(s_t[, a_t])), where d estimates log mu_policy / mu_base, the log-ratio of the two policies' visits.

    With d from a discriminator that minimises mean_policy softplus(-d) + mean_base softplus(d):

    * ``"chi2"``: e^d - 1;
    * ``"sqrt_chi2"``: (e^d - 1) / sqrt(chi2), where chi2 is the mean of e^d - 1 over the last rollout, the highest and lowest 1 %
      left out; as ``"chi2"`` where that is not positive;
    * ``"kl"``: d;
    * ``"tv"``: sign(d) / 2.

    Its policy gradient is that of the divergence (of half of it for ``"chi2"``). Use it beside a reward that correlates with what
    is wanted: ``proxy + coef * OccupancyPenalty("base.npz")``; for ``"sqrt_chi2"`` the theory asks for the coefficient
    sigma sqrt(1 - r^2) / r, with sigma the proxy's standard deviation under the base policy and r its correlation with the truth.

    Until it is first fitted it pays 0. d is clipped to [-10, 10]; where it is not finite, 0 is paid, and ``nonfinite`` in the log
    counts such rows.

    Guarantee: none; the point is to change what is optimal. Replay: frozen (the discriminator of now). Learned: a few epochs over
    every rollout.

    Args:
        base: file of the base policy's transitions (`shapegym.agents.record_base`), or the rows that the discriminator reads.
        keys: selectors of what it reads of s_t.
        action: whether it reads a_t too (discrete ones as indicators).
        divergence: "chi2", "sqrt_chi2", "kl" or "tv".
        hidden: units in each of its two layers.
        epochs: passes over each rollout.
        learning_rate: of Adam.
    """

    base: str | tuple[tuple[float, ...], ...] = ""
    keys: tuple[str, ...] = ("obs",)
    action: bool = False
    divergence: Literal["chi2", "sqrt_chi2", "kl", "tv"] = "sqrt_chi2"
    hidden: int = 256
    epochs: int = 4
    learning_rate: float = 1e-3

    guarantee: ClassVar[Guarantee] = Guarantee.NONE
    replay: ClassVar[Replay] = Replay.FROZEN
    learned: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.base or not isinstance(self.base, (str, tuple)):
            raise ExpressionError(
                f"OccupancyPenalty: base must be the path of recorded transitions, or rows of numbers, got {self.base!r}."
            )
        if not self.keys or not isinstance(self.keys, tuple):
            raise ExpressionError(
                f"OccupancyPenalty: keys must be selectors such as ('obs',), got {self.keys!r}."
            )
        for key in self.keys:
            selector(key)
        if self.divergence not in ("chi2", "sqrt_chi2", "kl", "tv"):
            raise ExpressionError(
                f"OccupancyPenalty: divergence must be 'chi2', 'sqrt_chi2', 'kl' or 'tv', got {self.divergence!r}."
            )
        if not isinstance(self.action, bool):
            raise ExpressionError(f"OccupancyPenalty: action must be true or false, got {self.action!r}.")
        for name in ("hidden", "epochs"):
            if not is_integer(value := getattr(self, name), 1):
                raise ExpressionError(
                    f"OccupancyPenalty: {name} must be an integer of at least 1, got {value!r}."
                )
        if not (is_number(self.learning_rate) and self.learning_rate > 0):
            raise ExpressionError(
                f"OccupancyPenalty: learning_rate must be a number > 0, got {self.learning_rate!r}."
            )

    @property
    def reads_before(self) -> tuple[str, ...]:
        """See `Term.reads_before`."""
        return features_of(*self.keys)

    def init(self, spec: Spec) -> State:
        """See `Term.init`.

        Raises:
            BaseDataError: if the base data is missing, damaged, of other spaces, not finite, or has too few rows.
            ObservationError: if a selector or the actions cannot be read.
        """
        for key in self.keys:
            selector(key).width(spec)
        choices, origin = (
            _choices_of(spec.action_space) if self.action else (np.zeros(0, int), np.zeros(0, int))
        )
        state: State = {"choices": choices, "origin": origin, "seed": spec.seed, "fits": 0, "chi2": 0.0}
        if isinstance(self.base, str):
            data = load_base(self.base)
            _require_spaces(self.base, data, spec)
            state["digest"] = data.digest
        rows = self._base_rows(state)
        if len(rows) < FEWEST_ROWS or not np.isfinite(rows).all():
            raise BaseDataError(
                f"OccupancyPenalty: base data needs at least {FEWEST_ROWS} rows of finite numbers; {_short(self.base)} has "
                f"{len(rows)} rows, {int((~np.isfinite(rows)).any(axis=1).sum())} of them not finite."
            )
        spread = rows.std(axis=0)
        varies = spread > _CONSTANT * np.abs(rows).max(axis=0)
        state["center"], state["spread"] = rows.mean(axis=0), np.where(varies, spread, 1.0)
        return state | fresh(rows.shape[1], self.hidden, np.random.default_rng(spec.seed))

    def measure(self, transitions: Transitions, state: State, *inputs: np.ndarray) -> np.ndarray:
        """See `Term.measure`."""
        ratio = outputs(self._rows(transitions, state), state)
        finite = np.isfinite(ratio)
        ratio = np.clip(np.where(finite, ratio, 0.0), -_LIMIT, _LIMIT)
        if self.divergence == "kl":
            cost = ratio
        elif self.divergence == "tv":
            cost = np.sign(ratio) / 2.0
        else:
            cost = np.expm1(ratio)
            if self.divergence == "sqrt_chi2" and state["chi2"] > 0.0:
                cost = cost / np.sqrt(state["chi2"])
        return np.where(finite, 0.0 - cost, 0.0)  # an untrained network pays 0, not -0

    def fit(self, batch: Transitions, state: State, *inputs: np.ndarray) -> Mapping[str, float]:
        """See `Term.fit`. Logs the loss (2 log 2 = 1.39 where nothing is told apart), the estimated chi2 and kl, and ``nonfinite``.

        Raises:
            BaseDataError: if the file of base data is no longer the one that the state began with.
        """
        base = (self._base_rows(state) - state["center"]) / state["spread"]
        rows = self._rows(batch, state)
        usable = np.asarray(np.isfinite(rows).all(axis=1))
        rows = rows[usable]
        if not len(rows):
            return {"nonfinite": float(len(usable))}
        rng = np.random.default_rng(
            (state["seed"], state["fits"])
        )  # no stream to save: the count of fits names it
        state["fits"] += 1
        for _ in range(self.epochs):
            for chosen in np.array_split(rng.permutation(len(rows)), -(-len(rows) // _BATCH)):
                both = np.concatenate([rows[chosen], base[rng.integers(0, len(base), len(chosen))]])
                side = np.repeat([1.0, -1.0], len(chosen))  # policy, base
                slopes = gradient(both, state["weights"], lambda said, side=side: _slope(side, said))  # type: ignore[misc]
                descend(state, slopes, self.learning_rate)
        ratio = np.clip(outputs(rows, state), -_LIMIT, _LIMIT)
        state["chi2"] = _trimmed_mean(np.expm1(ratio))
        sample = outputs(base[rng.integers(0, len(base), len(rows))], state)
        loss = np.logaddexp(0.0, -ratio).mean() + np.logaddexp(0.0, sample).mean()
        return {
            "loss": float(loss),
            "chi2": state["chi2"],
            "kl": float(ratio.mean()),
            "nonfinite": float((~usable).sum()),
        }

    def _rows(self, transitions: Transitions, state: State) -> Array:
        """What the discriminator reads of transitions, (B, n), at the scale of the base data."""
        rows = self._columns(transitions.obs, transitions.action, transitions.features, state)
        if rows.shape[1] != len(state["center"]):
            raise ObservationError(
                f"OccupancyPenalty: {', '.join(self.keys)} select {rows.shape[1]} numbers a lane; the base data has "
                f"{len(state['center'])}."
            )
        return (rows - state["center"]) / state["spread"]

    def _columns(self, obs: Observation, action: np.ndarray, features: Features, state: State) -> Array:
        columns = [selector(key).read(obs, features).astype(np.float64) for key in self.keys]
        if self.action:
            columns.append(_action_columns(action, state["choices"], state["origin"]))
        return np.hstack(columns)

    def _base_rows(self, state: State) -> Array:
        """The rows of the base data, (M, n), as they were recorded."""
        if not isinstance(self.base, str):
            if len({len(row) for row in self.base}) != 1:
                raise BaseDataError("OccupancyPenalty: rows of base data must be equally long.")
            return np.array(self.base, dtype=np.float64)
        data = load_base(self.base)
        if data.digest != state["digest"]:
            raise BaseDataError(
                f"The base data {self.base} is not what this reward was begun with: put the old file back, or start afresh."
            )
        missing = [name for name in self.reads_before if name not in data.features]
        if missing:
            raise BaseDataError(
                f"The base data {self.base} lacks the features {', '.join(missing)}: record it with them "
                f"(it has {', '.join(data.features) or 'none'})."
            )
        return self._columns(data.obs, data.action, data.features, state)


def _slope(side: Array, said: Array) -> Array:
    """d/dy of the mean over each side of softplus(-side y)."""
    share: Array = -side * np.exp(-np.logaddexp(0.0, side * said)) / (len(side) // 2)
    return share


def _trimmed_mean(values: Array) -> float:
    """The mean without the highest and the lowest values, `_TRIM` of them each."""
    cut = int(_TRIM * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean())


def _choices_of(space: gym.Space) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many values each entry of a discrete action has, and the first of them; empty for actions that are numbers."""
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.n]), np.array([space.start])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.nvec.reshape(-1).astype(np.int64), space.start.reshape(-1).astype(np.int64)
    if isinstance(space, (gym.spaces.Box, gym.spaces.MultiBinary)):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    raise ObservationError(f"OccupancyPenalty cannot read actions of {space}; take action=False.")


def _action_columns(action: np.ndarray, choices: NDArray[np.int64], origin: NDArray[np.int64]) -> Array:
    rows = action.reshape(len(action), -1)
    if not len(choices):
        return rows.astype(np.float64)
    return np.hstack([np.eye(n)[rows[:, i].astype(np.int64) - origin[i]] for i, n in enumerate(choices)])


def _require_spaces(path: str, data: BaseData, spec: Spec) -> None:
    ours = texts_of(spec.observation_space, spec.action_space)
    for what, recorded, wanted in zip(("observations", "actions"), data.spaces, ours, strict=True):
        if recorded != wanted:
            raise BaseDataError(
                f"The base data {path} is of another environment: its {what} are {recorded}, here they are {wanted}."
            )


def _short(base: str | tuple[tuple[float, ...], ...]) -> str:
    return base if isinstance(base, str) else "what was given"
