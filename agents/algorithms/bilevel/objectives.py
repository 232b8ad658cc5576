"""The two objectives of bi-level blending, as pure functions of the actor's parameters theta, a flat vector.

Inner, on stored episodes D of policies mu, with the blended reward r_phi and the learned discount gamma_phi:

    L(theta; phi) = mean_D[ rho_t max(kappa + A_t, 0) ln pi_theta(a_t|s_t) ] + beta mean_D[ H(pi_theta(.|s_t)) ]
                    - wd/2 |theta - theta_0|^2,
    G_t = sum_{j>=t} gamma_phi^{j-t} r_phi,j,   A = (G - baseline(G)) / std(G - baseline(G)).

Its gradient is the policy gradient Delta with a baseline; rho_t = min(pi(a_t|s_t) / mu(a_t|s_t), c), with the pi that the inner
learner starts from, is constant while it learns. The shift by kappa adds nothing in expectation on-policy, and keeps the weights
of the log-likelihoods from being negative: so the objective is concave in the logits, its optimum pi ~ pi_start (1 + A / kappa) is
an improvement of bounded size, and the Hessian is negative definite where theta enters linearly. The baseline is the ridge
regression of G on features of the state, a linear map of G, so that A is differentiable in phi and gamma_phi all the way.

Outer, on episodes of pi_theta itself, with the task's reward and the task's discount: the gradient of J(theta) is that of
mean[ gamma^t ln pi_theta(a_t|s_t) A_t ].

Source: Gupta et al. (2023), *Behavior Alignment via Reward Function Optimization*, the off-policy variant; the shift and the
differentiable baseline are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn
from typing_extensions import override

from shapegym.agents.algorithms.bilevel.episodes import EpisodeBatch

Likelihood: TypeAlias = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(theta, observations, actions) -> (ln pi_theta(a|s), entropy of pi_theta(.|s)), each (M,)."""

_CRITIC = ("value_net.", "mlp_extractor.value_net.", "vf_features_extractor.")
_RIDGE = 1e-3


class Actor(nn.Module):
    """The part of an SB3 policy that acts, as a `Likelihood`.

    Args:
        policy: of PPO's kind, whose actor shares no parameters with its critic.

    Attributes:
        names: of its parameters.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        super().__init__()
        self.policy = policy
        self.names = [name for name, _ in policy.named_parameters() if not name.startswith(_CRITIC)]

    @property
    def parameter_list(self) -> list[nn.Parameter]:
        """The parameters, in order; theta is these, flattened."""
        parameters = dict(self.policy.named_parameters())
        return [parameters[name] for name in self.names]

    def theta(self) -> Tensor:
        """The parameters as one vector, through which they are differentiable."""
        return nn.utils.parameters_to_vector(self.parameter_list)

    @override
    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        distribution = self.policy.get_distribution(obs)
        log_prob, entropy = distribution.log_prob(actions), distribution.entropy()
        return log_prob, -log_prob if entropy is None else entropy

    def likelihood(self, theta: Tensor, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives, with ``theta`` in place of the parameters: a `Likelihood`."""
        pieces, start = {}, 0
        for name, parameter in zip(self.names, self.parameter_list, strict=True):
            pieces[f"policy.{name}"] = theta[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()
        value: tuple[Tensor, Tensor] = torch.func.functional_call(self, pieces, (obs, actions))
        return value


def returns(rewards: Tensor, gamma: Tensor | float, place: Tensor) -> Tensor:
    """G_t = sum_{j>=t} gamma^{j-t} r_j within every episode, (M,), differentiable in rewards (M,) and gamma.

    ``place`` is the (episode, step) of each, (2, M).
    """
    episode, step = place
    padded = rewards.new_zeros(int(step.max()) + 1, int(episode.max()) + 1)
    padded = padded.index_put((step, episode), rewards)
    total, sums = torch.zeros_like(padded[0]), []
    for row in reversed(padded.unbind()):
        total = row + gamma * total
        sums.append(total)
    return torch.stack(sums[::-1])[step, episode]


def advantages(values: Tensor, features: Tensor) -> Tensor:
    """What a ridge regression on ``features`` (M, F) leaves of ``values`` (M,), at unit standard deviation; or 0."""
    x = features - features.mean(0)
    x = x / x.square().mean(0).sqrt().clamp_min(1e-8)
    centered = values - values.mean()
    gram = x.T @ x / len(x) + _RIDGE * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    left = centered - x @ torch.linalg.solve(gram, x.T @ centered / len(x))
    variance = left.square().mean()
    nothing = variance <= 1e-12 * values.square().mean().clamp_min(1e-12)
    return torch.zeros_like(left) if bool(nothing) else left / variance.sqrt()


@dataclass(frozen=True)
class Inner:
    """Constants of the inner objective.

    Attributes:
        shift: kappa, > 0.
        entropy: beta, >= 0.
        weight_decay: wd, > 0.
        ratio: c, the largest importance weight, >= 1.
    """

    shift: float
    entropy: float
    weight_decay: float
    ratio: float


def inner_objective(
    likelihood: Likelihood,
    theta: Tensor,
    anchor: Tensor,
    batch: EpisodeBatch,
    weights: Tensor,
    inner: Inner,
) -> Tensor:
    """L(theta; phi) for the ``weights`` rho_t max(kappa + A_t, 0), (M,), of a batch; see the module."""
    log_prob, entropy = likelihood(theta, batch.obs, batch.actions)
    away = (theta - anchor).square().sum()
    fit = (weights.to(log_prob.dtype) * log_prob).mean()
    return fit + inner.entropy * entropy.mean() - 0.5 * inner.weight_decay * away


def inner_weights(
    rewards: Tensor, gamma: Tensor | float, batch: EpisodeBatch, ratios: Tensor, inner: Inner
) -> Tensor:
    """rho_t max(kappa + A_t, 0), (M,), of rewards r_phi (M,), gamma_phi and ratios rho_t (M,); differentiable in the first two."""
    lead = advantages(returns(rewards, gamma, batch.place), batch.features)
    return ratios * (inner.shift + lead).clamp_min(0.0)


@torch.no_grad()
def importance(likelihood: Likelihood, theta: Tensor, batch: EpisodeBatch, largest: float) -> Tensor:
    """rho_t = min(pi_theta(a_t|s_t) / mu(a_t|s_t), largest), (M,)."""
    log_prob, _ = likelihood(theta, batch.obs, batch.actions)
    return (log_prob.double() - batch.log_probs.double()).exp().clamp_max(largest)


def outer_objective(likelihood: Likelihood, theta: Tensor, batch: EpisodeBatch, gamma: float) -> Tensor:
    """What has the gradient dJ/dtheta, up to the scale of J, on episodes that pi_theta has just made.

    Only ``fresh`` steps count: those before were made by the policy before, but a return looks ahead only.
    """
    lead = advantages(returns(batch.task, gamma, batch.place)[batch.fresh], batch.features[batch.fresh])
    log_prob, _ = likelihood(theta, batch.obs[batch.fresh], batch.actions[batch.fresh])
    discount = gamma ** batch.place[1][batch.fresh].double()
    return ((discount * lead).to(log_prob.dtype) * log_prob).mean()
