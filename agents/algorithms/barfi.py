"""BARFI: learn the weights of a reward so that training on it serves the task (Gupta et al. 2023), on SB3 policies.

    outer:  max over phi, gamma_phi of J(theta*(phi, gamma_phi)) - lambda gamma_phi     J: task reward, true discount
    inner:  theta* = argmax over theta of L(theta; phi, gamma_phi)                      L: blended reward, learned discount

See `objectives` for J and L, `hypergradient` for dJ/dphi. One iteration is one rollout of SB3:

1. the rollout's episodes, made by theta itself, give dJ/dtheta;
2. phi and gamma_phi make one step along the hyper-gradient of the inner problem that theta solved;
3. the episodes join the buffer D, theta goes part of the way back to where it began, and climbs L on D.

Blending does not explore: as long as no episode differs from the others in what the task pays, there is nothing to learn from, and
the weights stay.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from typing_extensions import override

from shapegym.agents.algorithms.bilevel.episodes import (
    EpisodeBatch,
    EpisodeBuffer,
    Steps,
    StoredEpisode,
    paid_alike,
)
from shapegym.agents.algorithms.bilevel.figure import draw_blend
from shapegym.agents.algorithms.bilevel.hypergradient import NO_SIGNAL, HyperGradient, implicit, unrolled
from shapegym.agents.algorithms.bilevel.objectives import (
    Actor,
    Inner,
    importance,
    inner_objective,
    inner_weights,
    outer_objective,
)
from shapegym.agents.algorithms.bilevel.outer import LearnedReward
from shapegym.agents.algorithms.bilevel.record import BLEND_FILE, BlendCallback
from shapegym.agents.algorithms.registry import register_algorithm
from shapegym.agents.callbacks import measuring_surface
from shapegym.agents.errors import SettingsError
from shapegym.shaping.limits import Count, Fraction, Natural, NonNegative, checked
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv

log = logging.getLogger("shapegym")

_LIMITS: dict[str, Any] = {
    **dict.fromkeys(("n_updates", "buffer_size", "batch_size", "terms", "hyper_steps"), Count),
    "warmup": Natural,
    **dict.fromkeys(("gamma", "restart"), Fraction),
    **dict.fromkeys(("shift", "ent_coef", "weight_decay", "damping"), NonNegative),
    **dict.fromkeys(("outer_learning_rate", "discount_learning_rate"), NonNegative),
    "max_ratio": Annotated[float, Ge(1)],
    "hypergradient": Literal["implicit", "unrolled"],
}

_SMALLEST_DAMPING = 1e-3
"""What an undamped Hessian gets after its first rejected step."""

_PATIENCE = 10
"""Iterations after which weights that have never moved are worth a warning."""


class BARFI(OnPolicyAlgorithm):
    """Bi-level learning of a policy and of the weights of its reward, which must be wired.

        model = BARFI("MlpPolicy", env)
        wire(model, blend(TaskReward(), bonus))
        model.learn(100_000)

    Args:
        policy: "MlpPolicy" or "CnnPolicy"; the actor shares no parameters with the critic, which is not used. Keep it small: every
            term of the Neumann series is a second derivative.
        env: of array observations.
        learning_rate: of theta (Adam).
        n_steps: of a rollout, per lane; some episodes should end in every rollout.
        gamma: the task's discount; the learned one begins there.
        buffer_size: episodes of D.
        n_updates: inner steps an iteration.
        batch_size: environment steps in each, of all in D.
        shift: kappa of the inner objective: 1 / kappa is how far the policy may move for an advantage of one standard deviation.
        ent_coef: beta of the inner objective.
        weight_decay: of the inner objective, toward the initial parameters.
        max_ratio: the largest importance weight.
        restart: share of the way back to the initial parameters that theta goes before it learns, in [0, 1].
        outer_learning_rate: of the weights (Adam, gradient norm at most 1); 0 leaves reward and discount as they are.
        discount_learning_rate: of the logit of the learned discount; 0 keeps the task's.
        discount_cost: lambda, what a high discount costs.
        warmup: iterations, at first, in which only the weights learn: a wrong heuristic then has less time to make the policy
            forget what the task pays. Skipped where no weights learn.
        hypergradient: "implicit", or "unrolled" through inner steps (an ablation).
        terms: of the Neumann series, or inner steps that are unrolled.
        damping: subtracted from the Hessian, at least. A rejected step makes it 4 times as large, an accepted one takes a tenth
            away (Levenberg 1944, Marquardt 1963): networks are not concave, and off the optimum the Hessian is indefinite.
        hyper_steps: environment steps of D, in whole episodes, from which the hyper-gradient is computed.

    Attributes:
        history: a row for every iteration of this `learn`: ``step``, ``weights``, ``discount``, ``task_return``, ``verdict``,
            ``residual``, ``damping``, ``rejected`` (steps so far).

    Raises:
        SettingsError: if a setting is out of range, observations are no arrays, or the policy shares parameters.
    """

    learns_weights: ClassVar[bool] = True
    """Read by `shapegym.check_wiring`, which says that other algorithms leave the weights of a blend as they are."""

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": ActorCriticPolicy,
        "CnnPolicy": ActorCriticCnnPolicy,
    }

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-3,
        n_steps: int = 128,
        gamma: float = 0.99,
        buffer_size: int = 128,
        n_updates: int = 30,
        batch_size: int = 1024,
        shift: float = 1.0,
        ent_coef: float = 0.01,
        weight_decay: float = 1e-3,
        max_ratio: float = 2.0,
        restart: float = 0.0,
        outer_learning_rate: float = 0.1,
        discount_learning_rate: float = 0.0,
        discount_cost: float = 0.0,
        warmup: int = 4,
        hypergradient: Literal["implicit", "unrolled"] = "implicit",
        terms: int = 20,
        damping: float = 0.1,
        hyper_steps: int = 2048,
        policy_kwargs: dict[str, Any] | None = None,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        _require_arrays(getattr(env, "observation_space", None))
        super().__init__(
            policy,
            env,
            learning_rate,
            n_steps,
            gamma,
            gae_lambda=1.0,
            ent_coef=ent_coef,
            vf_coef=0.0,
            max_grad_norm=math.inf,
            use_sde=False,
            sde_sample_freq=-1,
            policy_kwargs={"share_features_extractor": False, **(policy_kwargs or {})},
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
            supported_action_spaces=(spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
        )
        self.buffer_size = buffer_size
        self.n_updates = n_updates
        self.batch_size = batch_size
        self.shift = shift
        self.weight_decay = weight_decay
        self.max_ratio = max_ratio
        self.restart = restart
        self.outer_learning_rate = outer_learning_rate
        self.discount_learning_rate = discount_learning_rate
        self.discount_cost = discount_cost
        self.warmup = warmup
        self.hypergradient = hypergradient
        self.terms = terms
        self.damping = damping
        self.hyper_steps = hyper_steps
        self._require_settings()
        # Kept by `save`, unlike what `_setup_model` makes.
        self.discount_logit = _logit(gamma)
        self.iterations = 0
        self.rejections = 0
        self.current_damping = damping
        self.anchor: np.ndarray | None = None
        self.started_from: np.ndarray | None = None
        self.adam_state: dict[int, Any] = {}
        self.episode_buffer = EpisodeBuffer(buffer_size)
        self.blended: str | None = None
        self.history: list[dict[str, Any]] = []
        if _init_setup_model:
            self._setup_model()

    def _require_settings(self) -> None:
        for name, hint in _LIMITS.items():
            checked(f"BARFI: {name}", hint, getattr(self, name), SettingsError)
        if self.gamma in (0.0, 1.0) and self.discount_learning_rate > 0:
            raise SettingsError(
                f"BARFI: with gamma={self.gamma:g} there is no logit to learn the discount from; use a gamma between 0 and 1, or "
                "discount_learning_rate=0."
            )

    def _setup_model(self) -> None:
        _require_arrays(self.observation_space)
        super()._setup_model()
        if self.policy.share_features_extractor and any(
            True for _ in self.policy.features_extractor.parameters()
        ):
            raise SettingsError(
                "BARFI: actor and critic must not share parameters; leave out share_features_extractor=True."
            )
        self.actor = Actor(self.policy)
        if self.anchor is None:
            self.anchor = self._theta().cpu().numpy()
            self.started_from = self.anchor

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "actor", "history", "_rows"]

    # ------------------------------------------------------------------ collecting

    @override
    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "BARFI",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> BARFI:
        """Learn as SB3's algorithms do.

        Raises:
            SettingsError: if no reward with weights to learn is wired, or another one than before.
        """
        self.history = []
        self.check_reward()
        self.blended = str(self._reward().engine.expression)
        super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)
        if 1 < self.iterations < _PATIENCE:
            self._warn_if_stuck()
        return self

    def check_reward(self) -> None:
        """Raise `SettingsError` unless a reward with weights to learn is wired, and the one that was learned so far, if any."""
        reward = str(self._reward().engine.expression)
        if self.blended not in (None, reward):
            raise SettingsError(
                f"BARFI: this model learned the weights of {self.blended}, and its episodes are paid by that; now another "
                f"reward is wired, {reward}. Wire the same one, or make a new model."
            )

    @override
    def collect_rollouts(
        self, env: Any, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        self._rows: list[np.ndarray] = []  # what the weights depend on, step by step
        recorder = _Rows(self._reward(), self._surface(), self._rows)
        recorder.init_callback(self)
        both = CallbackList([callback, recorder])
        both.model = self  # `init_callback` would start the caller's callback anew
        return super().collect_rollouts(env, both, rollout_buffer, n_rollout_steps)

    def _surface(self) -> MeasuringVecEnv:
        return measuring_surface(
            self,
            "BARFI learns the weights of a blend, and no reward is wired: give it one, such as blend(TaskReward(), bonus), with "
            "make_agent or wire, or as a reward file with learned_weight terms.",
        )

    def _reward(self) -> LearnedReward:
        return LearnedReward(self._surface().engine)

    def _rollout_episodes(self) -> list[StoredEpisode]:
        buffer = self.rollout_buffer
        settled = buffer.settled  # type: ignore[attr-defined]
        discrete = isinstance(self.action_space, spaces.Discrete)
        actions = buffer.actions.astype(
            np.float32, copy=False
        )  # as SB3 does: torch has no likelihoods of int8
        rollout = Steps(
            buffer.observations,
            actions[..., 0] if discrete else actions,
            buffer.log_probs,
            settled.task,
            np.moveaxis(settled.parts, 0, -1),
            np.stack(self._rows),
        )
        return self.episode_buffer.cut(rollout, settled.episodes.first, settled.episodes.last)

    # ------------------------------------------------------------------ learning

    def train(self) -> None:
        """One outer step and one inner phase, on the rollout that was just collected."""
        reward = self._reward()
        fresh = self._rollout_episodes()
        stored = self.episode_buffer.episodes
        found = None
        learns = self._learns(reward)
        if fresh and stored and learns:
            found = self._outer_step(reward, fresh)
        stored.extend(fresh)
        self.iterations += 1
        if stored:
            batch = EpisodeBatch.of(stored, self.device)
            if self.iterations > self.warmup or not learns:
                self._inner_phase(reward, batch)
            self._log(reward, batch, fresh, found)
        if self.iterations == _PATIENCE:
            self._warn_if_stuck()

    def _learns(self, reward: LearnedReward) -> bool:
        return (bool(reward.weights) or self.discount_learning_rate > 0) and self.outer_learning_rate > 0

    def _outer_step(self, reward: LearnedReward, fresh: list[StoredEpisode]) -> HyperGradient:
        latest = self.episode_buffer.episodes[-1]
        if paid_alike(fresh if len(fresh) > 1 else [latest, *fresh]):
            return HyperGradient((), False, NO_SIGNAL, 0.0)
        batch = EpisodeBatch.of(self._recent(), self.device)
        phi = reward.parameters(self.device)
        logit = torch.tensor(self.discount_logit, dtype=torch.float64, requires_grad=True)
        gamma = torch.sigmoid(logit)
        likelihood = self.actor.likelihood
        started = self._tensor(self.started_from)
        ratios = importance(likelihood, started, batch, self.max_ratio)
        weights = inner_weights(reward.rewards(phi, batch), gamma, batch, ratios, self._inner)
        anchor, made = self._tensor(self.anchor), EpisodeBatch.of(fresh, self.device)

        def inner(theta: torch.Tensor) -> torch.Tensor:
            return inner_objective(likelihood, theta, anchor, batch, weights, self._inner)

        def outer(theta: torch.Tensor) -> torch.Tensor:
            return outer_objective(likelihood, theta, made, self.gamma)

        parameters = [*(tensor for group in phi.values() for tensor in group.values()), logit]
        theta = self._theta()
        if self.hypergradient == "implicit":
            found = implicit(inner, outer, theta, parameters, terms=self.terms, damping=self.current_damping)
        else:
            rate = self.lr_schedule(self._current_progress_remaining)
            found = unrolled(inner, outer, started, parameters, steps=self.terms, step=rate)
        if found.usable:
            self.current_damping = max(self.damping, 0.9 * self.current_damping)
            self._climb(reward, found.gradients)
        elif found.verdict != NO_SIGNAL:
            self.rejections += 1
            self.current_damping = max(4.0 * self.current_damping, _SMALLEST_DAMPING)
        return found

    def _climb(self, reward: LearnedReward, gradients: Sequence[torch.Tensor]) -> None:
        """Make one step of Adam with the weights and, last, the logit of the discount; the whole gradient is cut to norm 1."""
        *slopes, slope = (gradient.cpu() for gradient in gradients)
        slope = slope - self.discount_cost * self.discount * (1.0 - self.discount)
        if self.discount_learning_rate == 0:  # nor must it take part in the norm
            slope = torch.zeros_like(slope)
        weights, logit = reward.live(), torch.tensor(self.discount_logit, dtype=torch.float64)
        groups: list[dict[str, Any]] = [
            {"params": weights, "lr": self.outer_learning_rate},
            {"params": [logit], "lr": self.discount_learning_rate},
        ]
        adam = torch.optim.Adam(groups, maximize=True)
        adam.load_state_dict({**adam.state_dict(), "state": self.adam_state})
        length = float(torch.nn.utils.get_total_norm([*slopes, slope]))
        for moved, gradient in zip([*weights, logit], [*slopes, slope], strict=True):
            moved.grad = gradient / max(1.0, length)
        adam.step()
        self.adam_state = adam.state_dict()["state"]
        self.discount_logit = float(logit)

    def _inner_phase(self, reward: LearnedReward, batch: EpisodeBatch) -> None:
        self.policy.set_training_mode(True)
        anchor = self._tensor(self.anchor)
        with torch.no_grad():
            start = torch.lerp(self._theta(), anchor, self.restart)
            torch.nn.utils.vector_to_parameters(start, self.actor.parameter_list)
            self.started_from = start.cpu().numpy()
            ratios = importance(self.actor.likelihood, start, batch, self.max_ratio)
            rewards = reward.rewards(reward.parameters(self.device), batch)
            weights = inner_weights(rewards, self.discount, batch, ratios, self._inner)
        self._update_learning_rate(self.policy.optimizer)
        for _ in range(self.n_updates):
            part = _part(batch, weights, self.batch_size)
            loss = -inner_objective(self.actor.likelihood, self.actor.theta(), anchor, *part, self._inner)
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.policy.optimizer.step()
        self._n_updates = self.iterations

    @property
    def discount(self) -> float:
        """The learned discount."""
        return 1.0 / (1.0 + math.exp(-self.discount_logit))

    @property
    def _inner(self) -> Inner:
        return Inner(self.shift, self.ent_coef, self.weight_decay, self.max_ratio)

    def _theta(self) -> torch.Tensor:
        return self.actor.theta().detach().clone()

    def _tensor(self, vector: np.ndarray | None) -> torch.Tensor:
        return torch.as_tensor(vector, device=self.device)

    def _recent(self) -> list[StoredEpisode]:
        """The latest episodes of D that hold ``hyper_steps`` steps together, at least one."""
        chosen: list[StoredEpisode] = []
        steps = 0
        for episode in reversed(self.episode_buffer.episodes):
            chosen.append(episode)
            steps += len(episode.steps)
            if steps >= self.hyper_steps:
                break
        return chosen

    def _log(
        self,
        reward: LearnedReward,
        batch: EpisodeBatch,
        fresh: list[StoredEpisode],
        found: HyperGradient | None,
    ) -> None:
        weights = reward.summary(batch)
        row: dict[str, Any] = {
            "step": self.num_timesteps,
            "weights": weights,
            "discount": self.discount,
            "task_return": float(np.mean([episode.steps.task.sum() for episode in fresh])) if fresh else None,
            "verdict": "waiting" if found is None else found.verdict,
            "residual": 0.0 if found is None else found.residual,
            "damping": self.current_damping,
            "rejected": self.rejections,
        }
        self.history.append(row)
        for key, value in weights.items():
            self.logger.record(f"blend/weight_{key}", value)
        for key in ("discount", "task_return", "residual", "damping", "rejected"):
            if row[key] is not None:
                self.logger.record(f"blend/{key}", row[key])

    def _warn_if_stuck(self) -> None:
        if self.adam_state or not self._learns(self._reward()):
            return
        verdicts = {row["verdict"] for row in self.history}
        if NO_SIGNAL in verdicts:
            why = (
                "the task paid every episode the same. Blending does not explore: make a first success likelier, with an "
                "exploration bonus in the blend, an easier start or longer episodes"
            )
        elif self.rejections:
            why = f"every outer step was rejected ({', '.join(sorted(verdicts))}): try more damping or weight_decay"
        else:
            why = "too few episodes ended: use a longer n_steps or more lanes"
        log.warning(
            "BARFI: after %d rollouts the weights are where they began, because %s.", self.iterations, why
        )


register_algorithm(
    BARFI,
    check_reward=BARFI.check_reward,
    callbacks=lambda folder: [BlendCallback(folder)],
    draw=draw_blend,
    files=(BLEND_FILE,),
)


def _require_arrays(space: spaces.Space[Any] | None) -> None:
    if isinstance(space, spaces.Dict):
        raise SettingsError("BARFI takes array observations; this environment's are a Dict. Flatten them.")


def _logit(gamma: float) -> float:
    if gamma in (0.0, 1.0):
        return math.inf if gamma else -math.inf
    return math.log(gamma / (1.0 - gamma))


class _Rows(BaseCallback):
    """Keeps what the weights depend on, step by step."""

    def __init__(self, reward: LearnedReward, surface: MeasuringVecEnv, rows: list[np.ndarray]) -> None:
        super().__init__()
        self._reward = reward
        self._surface = surface
        self._kept = rows

    def _on_step(self) -> bool:
        self._kept.append(self._reward.rows(self._surface.transitions))
        return True


def _part(batch: EpisodeBatch, weights: torch.Tensor, size: int) -> tuple[EpisodeBatch, torch.Tensor]:
    """Some steps of a batch, for objectives that are means over steps."""
    if len(batch) <= size:
        return batch, weights
    chosen = torch.randperm(len(batch), device=weights.device)[:size]
    return batch.select(chosen), weights[chosen]
