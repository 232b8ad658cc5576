"""What the outer learner of a bi-level algorithm moves: the weights in an expression."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from shapegym.agents.algorithms.bilevel.episodes import EpisodeBatch
from shapegym.agents.errors import SettingsError
from shapegym.shaping.evaluation.engine import RewardEngine
from shapegym.shaping.transitions import Episodes, Transitions
from shapegym.shaping.types import Expression, Term
from shapegym.shaping.weights.blend import LearnedWeight


class LearnedReward:
    """An expression as a function of its learned weights, evaluated by its own engine.

    Args:
        engine: of an elementwise expression with at least one `LearnedWeight`. Those with ``learn=False`` count as other parts.

    Attributes:
        weights: those that are to be learned, by their place among the engine's terms; there may be none.

    Raises:
        SettingsError: if there is no `LearnedWeight` at all, two have one key, another term alone reads one, or rewards are known
            in hindsight only.
    """

    def __init__(self, engine: RewardEngine) -> None:
        self.engine = engine
        self.weights = {
            index: term
            for index, term in enumerate(engine.terms)
            if isinstance(term, LearnedWeight) and term.learn
        }
        if not any(isinstance(term, LearnedWeight) for term in engine.terms):
            raise SettingsError(
                f"BARFI learns the weights of a blend, and {engine.expression} has none. Write blend(TaskReward(), bonus), or give "
                "a term a LearnedWeight."
            )
        keys = [weight.key for weight in self.weights.values()]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise SettingsError(
                f"BARFI: weights that differ in their settings are all called {twice[0]!r}, so their logs could not be told apart. "
                "Give each a key of its own; of several blends only one needs a bias (bias=None leaves it out)."
            )
        combined = _combined(engine.expression)
        if lost := [weight.key for weight in self.weights.values() if weight not in combined]:
            raise SettingsError(
                f"BARFI: the weight {lost[0]!r} is read by another term only, so the reward cannot be differentiated in it. "
                "Multiply a part with it, or say learn=False."
            )
        if engine.episodic:
            raise SettingsError(
                f"BARFI differentiates the reward of every step, and {engine.expression} holds a gate or look-ahead, which decides "
                "from whole episodes. Blend the terms inside of it."
            )

    def rows(self, transitions: Transitions) -> np.ndarray:
        """Return what the weights depend on, side by side, (B, R) float64."""
        rows = [weight.rows(transitions) for weight in self.weights.values()]
        return np.concatenate([np.zeros((transitions.num_lanes, 0)), *rows], axis=1)

    def parameters(self, device: torch.device | str = "cpu") -> dict[int, dict[str, Tensor]]:
        """Return copies of the weights' arrays as tensors to differentiate in, by place and name."""
        return {
            index: {
                name: torch.tensor(array, device=device, requires_grad=True)
                for name, array in self.engine.states[index].items()
            }
            for index in self.weights
        }

    def rewards(self, parameters: dict[int, dict[str, Tensor]], batch: EpisodeBatch) -> Tensor:
        """Return r_phi of each step, (M,), from the stored parts and the weights that ``parameters`` give."""
        parts = [part[None] for part in batch.parts.T]
        start = 0
        for index, weight in self.weights.items():
            width = self._width(index)
            parts[index] = weight.value(parameters[index], batch.rows[:, start : start + width])[None]
            start += width
        nothing = np.zeros((1, len(batch)), dtype=bool)
        contributions = self.engine.combine(parts, Episodes(nothing, nothing, nothing, ~nothing))
        total: Tensor = self.engine.total(contributions)
        return total[0]

    def live(self) -> list[Tensor]:
        """Return the weights' arrays as tensors on the same memory, in the order of `parameters`: to move one moves the reward."""
        return [
            torch.from_numpy(array) for index in self.weights for array in self.engine.states[index].values()
        ]

    def summary(self, batch: EpisodeBatch) -> dict[str, float]:
        """Return the mean of every weight over the steps of a batch, by its key."""
        start, means = 0, {}
        for index, weight in self.weights.items():
            width = self._width(index)
            rows = batch.rows[:, start : start + width].cpu().numpy()
            means[weight.key] = float(np.mean(weight.value(self.engine.states[index], rows)))
            start += width
        return means

    def _width(self, index: int) -> int:
        weight, state = self.weights[index], self.engine.states[index]
        return {"scalar": 0, "table": 1, "network": len(state.get("hidden", ()))}[weight.form]


def _combined(node: Expression) -> set[Expression]:
    """The terms that combinators combine: without those that only other terms measure."""
    return {node} if isinstance(node, Term) else set().union(*map(_combined, node.children))
