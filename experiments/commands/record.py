"""``shapegym record``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shapegym.experiments.console import Imports, Trust, explained, pairs, say
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import require_env

if TYPE_CHECKING:
    from shapegym.agents.evaluation import Policy


def record(
    base: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|random|optimal",
            help="The base policy: of a finished run, random actions, or the optimum of a finite task.",
        ),
    ],
    target: Annotated[Path, typer.Option("--out", help="The .npz file; an old one is replaced.")],
    env: Annotated[str, typer.Option(help="The task, by its id; of a run it is known.")] = "",
    env_arg: Annotated[
        list[str] | None, typer.Option("--env-arg", help="An argument of the environment, as KEY=VALUE.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Transitions.", min=1)] = 10_000,
    features: Annotated[
        list[str] | None, typer.Option("--feature", help="To record besides the observation; repeatable.")
    ] = None,
    random_actions: Annotated[
        float, typer.Option(help="Share of actions taken at random instead.", min=0, max=1)
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Of episodes and actions.", min=0)] = 0,
    trust: Trust = False,
    _imports: Imports = None,
) -> None:
    """Record what a base policy does: the data that OccupancyPenalty keeps an agent near to."""
    from shapegym.agents.base_policy import record_base

    with explained():
        if target.suffix != ".npz":
            raise RunError(f"--out writes .npz files, not {target.name!r}.")
        if base in ("random", "optimal"):
            if not env:
                raise RunError(f"Which environment? Add --env ID to record the {base} policy.")
            require_env(env)
            task, arguments = env, pairs("--env-arg", env_arg)
            policy = _reference(base, task, arguments)
        else:
            if env or env_arg:
                raise RunError("A run has its own environment: leave out --env and --env-arg.")
            task, arguments, policy = _trained(Path(base), trust)
        target.parent.mkdir(parents=True, exist_ok=True)
        record_base(
            policy,
            task,
            target,
            steps=steps,
            seed=seed,
            random_actions=random_actions,
            features=tuple(features or ()),
            **arguments,
        )
        say(f"Base data: {target} ({steps:,} transitions)")


def _reference(name: str, env_id: str, arguments: dict[str, Any]) -> Policy:
    from shapegym.agents.environments import make_env
    from shapegym.agents.finite.oracle import OptimalPolicy, RandomPolicy

    env = make_env(env_id, **arguments)
    try:
        return OptimalPolicy(env) if name == "optimal" else RandomPolicy(env.action_space)
    finally:
        env.close()


def _trained(folder: Path, trust: bool) -> tuple[str, dict[str, Any], Policy]:
    """The task of a run, its arguments, and what was learned on it."""
    from shapegym.agents.algorithms.registry import algorithm_of
    from shapegym.agents.environments import lanes_of
    from shapegym.agents.model_files import WHY_TRUST, load_model
    from shapegym.experiments.runs import run_folder
    from shapegym.experiments.runs.request import RunConfig
    from shapegym.shaping.discovery import only_loaded
    from shapegym.shaping.errors import said_as

    if not folder.is_dir():
        raise RunError(f"There is no run folder {str(folder)!r}; give one, or random or optimal.")
    config = RunConfig.from_folder(folder)
    with only_loaded(folder, trust=trust), ExitStack() as cleanup:
        config.import_modules()
        venv = cleanup.enter_context(lanes_of(config.env, 1, **config.judged_on))
        model, pickled = folder / run_folder.MODEL, folder / run_folder.PICKLED_MODEL
        if model.is_file():
            policy = load_model(model, venv, algorithm=algorithm_of(config.algo).kind)
        elif not pickled.is_file():
            raise RunError(
                f"{folder} has no {model.name}: finish it with `shapegym train --resume {folder}`."
            )
        elif not trust:
            raise RunError(f"{folder} has only {pickled.name}, which is pickled Python, {WHY_TRUST}")
        else:
            with said_as(RunError, Exception, f"{pickled} cannot be loaded: "):
                policy = algorithm_of(config.algo).kind.load(pickled, device="cpu")
    return config.env, config.judged_on, policy
