"""Whether a run can start: everything it asks for is built once, and nothing is trained."""

from __future__ import annotations

from shapegym.agents.environments import make_vec_env, with_features
from shapegym.agents.errors import AgentError
from shapegym.agents.factory import make_agent
from shapegym.agents.settings import resolve_settings
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env
from shapegym.experiments.runs.run import RunConfig
from shapegym.shaping.errors import ShapingError


def require_fit(config: RunConfig) -> None:
    """Raise `RunError` unless environment, agent and reward of a request fit each other; `PluginError` for its imports.

    Agent and reward are built and wired as `shapegym.experiments.runs.run.train` does it, so what passes here starts there.
    """
    config.import_modules()
    require_env(config.env)
    try:
        settings = resolve_settings(config.algo, config.env, config.settings)
        reward = config.expression()
        env_kwargs = with_features(config.env, reward, config.env_kwargs)
        venv = make_vec_env(config.env, settings.num_envs, **env_kwargs)
        try:
            make_agent(config.algo, venv, reward, seed=config.seed, settings=settings)
        finally:
            venv.close()
    except (AgentError, ShapingError) as error:
        raise RunError(str(error)) from error
