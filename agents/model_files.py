"""Models as files that hold no code: what a model was set to and what it learned, as numbers, texts and names of known classes.

SB3's own zip keeps the settings as pickled Python, and unpickling runs whatever somebody put there. So nothing in this project
reads one unless the person says that it is to be trusted. `save_model` writes the attributes that SB3 pickles as a tree of plain
values (`shapegym.agents.state_tree`), and beside them the parameters and the optimisers' moments. What of a model is a function (a
schedule of one's own) cannot be kept so: `code_of` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import recursive_getattr
from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.errors import CheckpointError
from shapegym.agents.settings import hyper_parameters
from shapegym.agents.state_tree import Arrays, is_state, pack, read_packed, unpack, write_tree
from shapegym.shaping.errors import said_as

FORMAT = "shapegym model 1"
LAST = ("_last_obs", "_last_original_obs", "_last_episode_starts")
"""What a model knows of its environments; wiring makes it forget."""

_MOVES = {"action_noise", "policy_kwargs", "rollout_buffer_class", "replay_buffer_class"}
"""Settings that wiring exchanges, or that algorithms complete when they begin to learn."""

_MADE_ANEW = {*LAST, "_last_lstm_states", "observation_space", "action_space", "lr_schedule"}
WHY_TRUST = "and reading that runs whatever is in it. If you made it, or trust who did, say so: trust=True, or --trust."


def save_model(path: Path, model: BaseAlgorithm) -> None:
    """Write a model without its environment, its buffer and what `code_of` names."""
    _, variables = model._get_torch_save_params()
    write_tree(
        path,
        {
            "format": FORMAT,
            "algorithm": type(model).__name__,
            "spaces": _spaces(model),
            "attributes": {name: value for name, value in _attributes(model).items() if is_state(value)},
            "parameters": model.get_parameters(),
            "variables": {name: recursive_getattr(model, name) for name in variables},
        },
    )


def code_of(model: BaseAlgorithm) -> list[str]:
    """Return the names of the settings that only pickle can keep."""
    return sorted(name for name, value in _attributes(model).items() if not is_state(value))


def load_model(
    path: Path, env: VecEnv, *, algorithm: type[BaseAlgorithm] | None = None, device: str = "cpu"
) -> BaseAlgorithm:
    """Return the model of a `save_model` file on ``env``.

    Args:
        path: the file.
        env: of the spaces that the model was trained on.
        algorithm: for a class that nobody registered.
        device: of the networks.

    Raises:
        CheckpointError: if the file is damaged or none, of another algorithm, or does not fit the environment.
    """
    # Networks, optimisers and spaces raise whatever crafted settings lead them to.
    with said_as(
        CheckpointError, Exception, f"{path} holds no model that this environment can go on with: ", "."
    ):
        packed, arrays = read_packed(path)
        saved = packed["mapping"]
        if saved["format"] != FORMAT:
            raise ValueError(f"it is a {saved['format']!r}, not a {FORMAT!r}")
        kind = algorithm or algorithm_of(saved["algorithm"]).kind
        if saved["algorithm"] != kind.__name__:
            raise ValueError(f"it is a {saved['algorithm']}, not a {kind.__name__}")
        return _made(kind, env, device, saved, arrays)


def require_settings(source: Path, model: BaseAlgorithm, fresh: BaseAlgorithm) -> None:
    """Raise `CheckpointError` if a loaded model has other hyper-parameters than one that was made as asked."""
    if type(model.policy) is not type(fresh.policy):
        raise CheckpointError(
            f"{source} has a {type(model.policy).__name__}; the run asks for a {type(fresh.policy).__name__}."
        )
    for name in sorted(hyper_parameters(type(fresh).__name__) - _MOVES):
        asked, saved = (_plain(getattr(one, name, None)) for one in (fresh, model))
        if asked != saved:
            raise CheckpointError(
                f"{source} was saved with {name}={getattr(model, name, None)!r}; the run asks for {getattr(fresh, name, None)!r}."
            )


def _plain(value: Any) -> Any:
    """What two settings are compared by; functions are not."""
    arrays: Arrays = {}
    return (pack(value, arrays), [array.tolist() for array in arrays.values()]) if is_state(value) else None


def _made(
    kind: type[BaseAlgorithm], env: VecEnv, device: str, saved: Mapping[str, Any], arrays: Arrays
) -> BaseAlgorithm:
    """Build a model as SB3's `load` does, from values that hold no code."""
    policy = unpack(saved["attributes"]["mapping"]["policy_class"], arrays)
    if not issubclass(policy, BasePolicy):
        raise ValueError(f"its policy is a {policy.__name__}")
    model = kind(policy=policy, env=env, device=device, _init_setup_model=False)  # type: ignore[call-arg]
    if (spaces := unpack(saved["spaces"], arrays)) != _spaces(model):
        raise ValueError(f"it was trained on {spaces}, and this environment has {_spaces(model)}")
    for name, value in unpack(saved["attributes"], arrays).items():
        _require_attribute(model, name, value)
        setattr(model, name, value)
    model.n_envs = env.num_envs
    model._setup_model()
    parameters = unpack(saved["parameters"], arrays)
    _require_moments(model, parameters)
    model.set_parameters(parameters, exact_match=True, device=device)
    for name, value in unpack(saved["variables"], arrays).items():
        if value is not None:
            recursive_getattr(model, name).data.copy_(value)
    if model.use_sde:
        model.policy.reset_noise()  # type: ignore[operator]
    return model


def _attributes(model: BaseAlgorithm) -> dict[str, Any]:
    """What SB3 pickles, without what is made anew from it or from the environment."""
    networks, variables = model._get_torch_save_params()
    tensors = {name.partition(".")[0] for name in (*networks, *variables)}
    left_out = tensors.union(_MADE_ANEW, model._excluded_save_params())
    return {name: value for name, value in vars(model).items() if name not in left_out}


def _spaces(model: BaseAlgorithm) -> list[str]:
    return [str(model.observation_space), str(model.action_space)]


def _require_attribute(model: BaseAlgorithm, name: str, value: Any) -> None:
    """Refuse an attribute that hides a method, or is of another kind than a new model has there."""
    if hasattr(type(model), name) and name not in vars(model):
        raise ValueError(f"it sets {name!r}, which is no setting")
    if isinstance(vars(model).get(name), (int, float)) and isinstance(value, (str, list, dict, np.ndarray)):
        raise ValueError(f"its {name} is {value!r}, no number")


def _require_moments(model: BaseAlgorithm, saved: Mapping[str, Any]) -> None:
    """Refuse an optimiser's memory that is of other parameters than the model has."""
    for name in model._get_torch_save_params()[0]:
        optimiser = recursive_getattr(model, name)
        if not isinstance(optimiser, torch.optim.Optimizer):
            continue
        shapes = [tensor.shape for group in optimiser.param_groups for tensor in group["params"]]
        for place, memory in saved[name]["state"].items():
            for key, moment in memory.items():
                if isinstance(moment, torch.Tensor) and moment.dim() and moment.shape != shapes[place]:
                    raise ValueError(
                        f"{name} has {key} of shape {tuple(moment.shape)} for {tuple(shapes[place])}"
                    )
