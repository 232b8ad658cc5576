"""Whether a run can start: everything it asks for is built once, and nothing is trained."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.environments import env_spec, make_vec_env, with_features
from shapegym.agents.errors import AgentError
from shapegym.agents.factory import make_agent
from shapegym.agents.settings import resolve_settings
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env
from shapegym.experiments.runs.request import RunConfig
from shapegym.experiments.runs.run import require_spaces
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.files.reward_files import definitions


def require_fit(config: RunConfig) -> None:
    """Raise `RunError` unless environment, agent and reward of a request fit each other; `PluginError` for its imports.

    Agent and reward are built and wired as `shapegym.experiments.runs.run.train` does it, so what passes here starts there.
    """
    config.import_modules()
    require_env(config.env)
    try:
        settings = resolve_settings(config.algo, config.env, config.settings)
        reward = config.expression()
        env_kwargs = with_features(config.env, reward, config.trained_on)
        venv = make_vec_env(config.env, settings.num_envs, **env_kwargs)
        try:
            _require_judge(config, venv)
            model = make_agent(config.algo, venv, reward, seed=config.seed, settings=settings)
            algorithm_of(config.algo).check_reward(model)
        finally:
            venv.close()
    except (AgentError, ShapingError) as error:
        raise RunError(str(error)) from error


def _require_judge(config: RunConfig, venv: VecEnv) -> None:
    if config.train_kwargs or config.eval_kwargs:
        judge = make_vec_env(config.env, 1, **config.judged_on)
        try:
            require_spaces(venv, judge)
        finally:
            judge.close()


def require_importable(config: RunConfig, what: str) -> None:
    """Raise `RunError` if a request, called ``what``, needs what ``__main__`` defines: for processes that do not import that."""
    spec, reward = env_spec(config.env), config.expression()
    made = (algorithm_of(config.algo).kind, spec.entry_point, spec.vector_entry_point)
    needs = [_home(each) for each in made]
    needs += [] if reward is None else definitions(reward)
    if missing := dict.fromkeys(name for module, name in needs if module == "__main__"):
        raise RunError(
            f"{what} needs {', '.join(missing)}, defined in __main__ (a notebook, a prompt), and the processes that train import "
            'modules only. Put that into a module, such as mine.py, and name it: imports=["mine"], or --import mine.'
        )


def _home(made: Any) -> tuple[str, str]:
    """Module and name of what makes environments, or of a class; empty where it has none."""
    if isinstance(made, str):
        module, _, name = made.partition(":")
        return module, name
    return getattr(made, "__module__", ""), getattr(made, "__qualname__", "")
