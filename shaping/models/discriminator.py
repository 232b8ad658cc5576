"""A discriminator of two policies' visits: where one goes and the other does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from annotated_types import MinLen
from numpy.typing import NDArray
from typing_extensions import override

from shapegym.shaping.errors import BaseDataError, ObservationError
from shapegym.shaping.limits import Count, Positive
from shapegym.shaping.models.actions import action_columns, choices_of
from shapegym.shaping.models.base_data import BaseData, load_base, texts_of
from shapegym.shaping.reading import require_readable
from shapegym.shaping.remembered import SAME, Remembers
from shapegym.shaping.states.select import Selects, selector
from shapegym.shaping.transitions import Experience, Features, Observation, Spec, State, Transitions
from shapegym.shaping.types import Example, Model

if TYPE_CHECKING:
    from shapegym.shaping.networks import Networks

FEWEST_ROWS = 16
"""Base data of fewer rows says nothing about where a policy goes."""

LIMIT = 10.0
"""Log-ratios are clipped to +-this before they are exponentiated."""

_BATCH = 256
_CONSTANT = 1e-12
"""A column whose standard deviation is below this share of its largest number is constant: the rest is rounding."""
_TRIM = 0.01
"""Share of the highest and of the lowest ratios that the estimate of chi2 leaves out."""

BaseRows = Annotated[tuple[tuple[float, ...], ...], MinLen(1)] | Annotated[str, MinLen(1)]
"""A file of recorded transitions (`shapegym.agents.record_base`), or rows of numbers."""


@dataclass(frozen=True)
class Discriminator(Model):
    """``log_ratio`` (B,): an estimate d of log mu_policy / mu_base at (s_t[, a_t]); ``known``: where it is one; ``chi2``.

    d minimises mean_policy softplus(-d) + mean_base softplus(d); it is clipped to [-10, 10], and 0 where what it reads is not
    finite, or nothing was fitted. chi2 is the mean of e^d - 1 over the last experience, the highest and lowest 1 % left out; it is
    the same number in every row. Source: Laidlaw, Singhal & Dragan 2024, "Correlated Proxies" (ORPO), section 5.

    Args:
        base: file of the base policy's transitions, or the rows that the discriminator reads.
        keys: selectors of what it reads of s_t.
        action: whether it reads a_t too (discrete ones as indicators).
        hidden: units in each of its two layers.
        epochs: passes over the experience of each fit.
        learning_rate: of Adam.
    """

    base: BaseRows
    keys: Annotated[tuple[Selects, ...], MinLen(1)] = ("obs",)
    action: bool = False
    hidden: Count = 256
    epochs: Count = 4
    learning_rate: Positive = 1e-3

    outputs: ClassVar[tuple[str, ...]] = ("log_ratio", "chi2", "known")
    remembers: ClassVar[Remembers] = {"numbers/choices": (SAME,), "numbers/origin": (SAME,)}
    looks = "before"

    @override
    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        visited = tuple((step % 5 / 2 - 1, step % 3 / 2 - 0.5, step % 4 / 4) for step in range(16))
        return (Example(cls(visited, hidden=8)),)

    @override
    def init(self, spec: Spec) -> Networks:
        """Return fresh networks; raises `BaseDataError` for base data of other spaces, not finite, or of too few rows."""
        from shapegym.shaping.networks import Networks, perceptron

        require_readable(self, spec)
        choices, origin = (
            choices_of(spec.action_space, f"{type(self).__name__}(action=True)")
            if self.action
            else (np.zeros(0, int), np.zeros(0, int))
        )
        numbers: State = {"choices": choices, "origin": origin, "chi2": 0.0, "digest": ""}
        if isinstance(self.base, str):
            data = load_base(self.base)
            _require_spaces(self.base, data, spec)
            numbers["digest"] = data.digest
        rows = self._base_rows(numbers)
        finite = np.isfinite(rows).all(axis=1)
        if len(rows) < FEWEST_ROWS or not finite.all():
            raise BaseDataError(
                f"{type(self).__name__}: base data needs at least {FEWEST_ROWS} rows of finite numbers; "
                f"{self.base if isinstance(self.base, str) else 'what was given'} has {len(rows)} rows, {int((~finite).sum())} of "
                "them not finite."
            )
        spread = rows.std(axis=0)
        varies = spread > _CONSTANT * np.abs(rows).max(axis=0)
        numbers |= {"center": rows.mean(axis=0), "spread": np.where(varies, spread, 1.0)}
        memory = Networks(
            {"discriminator": lambda: perceptron(rows.shape[1], self.hidden, 1)},
            self,
            spec,
            learning_rate=self.learning_rate,
            numbers=numbers,
        )
        for parameter in memory["discriminator"][-1].parameters():  # type: ignore[index]  # so that an untrained one says 0
            parameter.data.zero_()
        return memory

    @override
    def evaluate(self, transitions: Transitions, memory: Networks, *inputs: Any) -> dict[str, np.ndarray]:
        rows = self.rows(transitions, memory.numbers)
        known = np.asarray(np.isfinite(rows).all(axis=1))
        ratio = memory.evaluate("discriminator", np.where(known[:, None], rows, 0.0))[:, 0].astype(np.float64)
        return {
            "log_ratio": np.where(known, np.clip(ratio, -LIMIT, LIMIT), 0.0),
            "chi2": np.full(len(rows), memory.numbers["chi2"]),
            "known": known,
        }

    @override
    def fit(self, experience: Experience, memory: Networks, *inputs: Any) -> dict[str, float]:
        """Make a few epochs; log the loss (2 log 2 = 1.39 where nothing is told apart), chi2 and kl, and ``nonfinite`` rows.

        Raises:
            BaseDataError: if the file of base data is no longer the one that the state began with.
        """
        import torch
        from torch.nn.functional import softplus

        from shapegym.shaping.networks import as_tensor

        numbers = memory.numbers
        base = as_tensor((self._base_rows(numbers) - numbers["center"]) / numbers["spread"])
        rows = self.rows(experience.rows(), numbers)
        usable = np.isfinite(rows).all(axis=1)
        nonfinite = float((~usable).sum())
        if not usable.any():
            return {"nonfinite": nonfinite}
        policy, network = as_tensor(rows[usable]), memory["discriminator"]

        def sample(count: int) -> torch.Tensor:
            return base[torch.randint(len(base), (count,), generator=memory.generator)]

        for chosen in memory.minibatches(len(policy), _BATCH, epochs=self.epochs):
            said = network(torch.cat([policy[chosen], sample(len(chosen))]))[:, 0]
            ours, theirs = said.split(len(chosen))
            memory.descend(softplus(-ours).mean() + softplus(theirs).mean())
        ratio = np.clip(
            memory.evaluate("discriminator", policy.numpy())[:, 0].astype(np.float64), -LIMIT, LIMIT
        )
        numbers["chi2"] = _trimmed_mean(np.expm1(ratio))
        against = memory.evaluate("discriminator", sample(len(policy)).numpy())[:, 0]
        loss = np.logaddexp(0.0, -ratio).mean() + np.logaddexp(0.0, against.astype(np.float64)).mean()
        return {
            "loss": float(loss),
            "chi2": numbers["chi2"],
            "kl": float(ratio.mean()),
            "nonfinite": nonfinite,
        }

    def rows(self, transitions: Transitions, numbers: State) -> NDArray[np.float64]:
        """Return what is read of transitions, (B, n), at the scale of the base data."""
        rows = self._columns(transitions.obs, transitions.action, transitions.features, numbers)
        if rows.shape[1] != len(numbers["center"]):
            raise ObservationError(
                f"{type(self).__name__}: {', '.join(self.keys)} select {rows.shape[1]} numbers a lane; the base data has "
                f"{len(numbers['center'])}."
            )
        scaled: NDArray[np.float64] = (rows - numbers["center"]) / numbers["spread"]
        return scaled

    def _columns(
        self, obs: Observation, action: np.ndarray, features: Features, numbers: State
    ) -> NDArray[np.float64]:
        columns = [selector(key).read(obs, features).astype(np.float64) for key in self.keys]
        if self.action:
            columns.append(action_columns(action, numbers["choices"], numbers["origin"]))
        return np.hstack(columns)

    def _base_rows(self, numbers: State) -> NDArray[np.float64]:
        """The rows of the base data, (M, n), as they were recorded."""
        if not isinstance(self.base, str):
            if len({len(row) for row in self.base}) != 1:
                raise BaseDataError(f"{type(self).__name__}: rows of base data must be equally long.")
            return np.array(self.base, dtype=np.float64)
        data = load_base(self.base)
        if data.digest != numbers["digest"]:
            raise BaseDataError(
                f"The base data {self.base} is not what this reward was begun with: put the old file back, or start afresh."
            )
        missing = [name for name in self.reads_before if name not in data.features]
        if missing:
            raise BaseDataError(
                f"The base data {self.base} lacks the features {', '.join(missing)}: record it with them "
                f"(it has {', '.join(data.features) or 'none'})."
            )
        return self._columns(data.obs, data.action, data.features, numbers)


def _trimmed_mean(values: NDArray[np.float64]) -> float:
    """The mean without the highest and the lowest values, `_TRIM` of them each."""
    cut = int(_TRIM * len(values))
    return float(np.sort(values)[cut : len(values) - cut].mean())


def _require_spaces(path: str, data: BaseData, spec: Spec) -> None:
    ours = texts_of(spec.observation_space, spec.action_space)
    for what, recorded, wanted in zip(("observations", "actions"), data.spaces, ours, strict=True):
        if recorded != wanted:
            raise BaseDataError(
                f"The base data {path} is of another environment: its {what} are {recorded}, here they are {wanted}."
            )
    for what, rows, space in (
        ("observations", data.obs, spec.observation_space),
        ("actions", data.action, spec.action_space),
    ):
        if not _fit(rows, space):
            raise BaseDataError(
                f"The base data {path} is damaged: its {what} are not of {space}. Record it again."
            )
    if any(rows.dtype.kind not in "biuf" for rows in data.features.values()):
        raise BaseDataError(
            f"The base data {path} is damaged: it has a feature that is no number. Record it again."
        )


def _fit(rows: Observation, space: gym.Space) -> bool:
    """Whether recorded rows have the form of members of a space, and those of a discrete one its values."""
    if isinstance(space, gym.spaces.Dict):
        return (
            isinstance(rows, Mapping)
            and rows.keys() == space.keys()
            and all(_fit(rows[key], space[key]) for key in space)
        )
    if isinstance(rows, Mapping) or rows.dtype.kind not in "biuf" or rows.shape[1:] != space.shape:
        return False
    if isinstance(space, (gym.spaces.Discrete, gym.spaces.MultiDiscrete)):
        choices, origin = choices_of(space, "Base data")
        numbers = rows.reshape(len(rows), -1)
        return bool(((numbers >= origin) & (numbers < origin + choices)).all())
    return True
