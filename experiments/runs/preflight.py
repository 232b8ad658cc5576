"""Whether a run can start: everything it asks for is built once, and nothing is trained."""

from __future__ import annotations

import shapegym.experiments.potentials  # noqa: F401  # registers the state functions that ready rewards refer to
from shapegym.agents.environments import make_vec_env, with_features
from shapegym.agents.errors import AgentError
from shapegym.agents.factory import make_agent
from shapegym.agents.settings import resolve_settings
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env
from shapegym.experiments.runs.run import RunConfig
from shapegym.shaping.errors import ShapingError
from shapegym.shaping.files.reward_files import from_data


def require_fit(config: RunConfig) -> None:
    """Raise `RunError` unless environment, agent and reward of a request fit each other; `PluginError` for its imports.

    Agent and reward are built and wired as `shapegym.experiments.runs.run.train` does it, so what passes here starts there.
    """
    config.import_modules()
    require_env(config.env)
    try:
        settings = resolve_settings(config.algo, config.env, config.settings)
        reward = None if config.reward is None else from_data(config.reward)
        env_kwargs = with_features(config.env, reward, config.env_kwargs)
        venv = make_vec_env(config.env, settings.num_envs, **env_kwargs)
        try:
            make_agent(config.algo, venv, reward, seed=config.seed, settings=settings)
        finally:
            venv.close()
    except (AgentError, ShapingError) as error:
        raise RunError(str(error)) from error
