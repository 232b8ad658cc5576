"""One training run: a request in, a run folder out. Interrupted runs continue where their last checkpoint was."""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.callbacks import (
    EPISODES_FILE,
    EVALUATIONS_FILE,
    EvaluationCallback,
    ShapingCallback,
    find_surface,
)
from shapegym.agents.checkpoint import (
    CheckpointCallback,
    checkpoints,
    load_checkpoint,
    read_manifest,
    require_books,
    save_checkpoint,
)
from shapegym.agents.environments import make_vec_env, with_features
from shapegym.agents.errors import CheckpointError
from shapegym.agents.evaluation import Evaluation, evaluate
from shapegym.agents.factory import make_agent
from shapegym.agents.metrics import EPISODE, each_json_line
from shapegym.agents.model_files import require_settings, save_model
from shapegym.agents.profiling import CostMeter, Costs
from shapegym.agents.settings import resolve_settings
from shapegym.agents.threads import threads_of_runs, torch_threads
from shapegym.experiments.errors import RunError, unless_refused
from shapegym.experiments.inside import require_own
from shapegym.experiments.plain import plain
from shapegym.experiments.runs import costs as cost_file
from shapegym.experiments.runs import run_folder, tracking
from shapegym.experiments.runs.request import RunConfig, request_of
from shapegym.shaping.discovery import only_loaded
from shapegym.shaping.evaluation.answer_log import AnswerLog
from shapegym.shaping.evaluation.answers import Correspondence, annotator_of
from shapegym.shaping.files.state_files import save_engine
from shapegym.shaping.surfaces.binding import BindingOptions
from shapegym.shaping.tree import named_readers, readers_of
from shapegym.shaping.types import Expression

EVALUATION_SEED = 1_000_000
"""Far from training seeds, so that evaluation plays other episodes."""

RECENT_EPISODES = 100
"""Training episodes over which a result averages what was paid."""

Progress = Callable[[int, ShapingCallback], None]
"""Called with the global step while a run goes on."""


def train(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    checkpoint: int | None = None,
    trust: bool = False,
    progress: Progress | None = None,
    wandb: str = "",
    answers_of: Path | None = None,
) -> Evaluation:
    """Train an agent, fill its run folder and return its final evaluation on the task.

    Args:
        config: the request.
        folder: of the run; new, or that of the run to continue.
        resume: continue from the folder's last checkpoint; from an older one where that is damaged, which a warning says.
        checkpoint: continue from the checkpoint of this step.
        trust: the run to continue may import what it names and unpickle models: the person knows where it comes from.
        progress: told about the run as it goes on.
        wandb: project of Weights & Biases that shows the run too; empty for none. No part of the request.
        answers_of: folder of a run whose answers are repeated, where the reward asks somebody; nobody is asked then.

    Raises:
        RunError: if the folder does not fit the request, or ``wandb`` is asked for and not there.
        AgentError: for settings that do not exist or do not fit, or checkpoints of which none can be used.
        ShapingError: for a reward that does not fit the environment or the agent, or a module that cannot be imported.
    """
    with unless_refused(f"The run in {folder}"), only_loaded(folder, trust=trust or not resume):
        config.import_modules()
        config = config.settled()
        assert config.eval_episodes is not None  # noqa: S101  # settled
        reward = config.expression()
        settings = resolve_settings(config.algo, config.env, config.settings)
        tracking.require(wandb)
        earlier = None
        with torch_threads(threads_of_runs()), ExitStack() as cleanup:
            if resume:
                require_own(folder)
                cleanup.enter_context(run_folder.alone(folder))
                begun = _checkpoint(folder, checkpoint)
                require_books(begun, _books(config, folder))
                earlier = cost_file.read(folder)
            # Made before the model, because a checkpoint restores the random streams that they would draw from.
            env_kwargs = with_features(config.env, reward, config.trained_on)
            venv = _open(cleanup, make_vec_env(config.env, settings.num_envs, seed=config.seed, **env_kwargs))
            lanes = min(config.eval_episodes, 16)
            eval_venv = _open(cleanup, make_vec_env(config.env, lanes, **config.judged_on))
            require_spaces(venv, eval_venv)
            answers = _answers(reward, answers_of or folder, repeated=answers_of is not None)
            if answers is not None:
                cleanup.callback(answers.close)
            if resume:
                fresh = make_agent(config.algo, venv, seed=config.seed, settings=settings)
                model = load_checkpoint(begun, venv, reward, answers=answers, trust=trust)
                require_settings(begun, model, fresh)
                del fresh
            else:
                binding: BindingOptions = {"answers": answers}
                if config.learn_every is not None:
                    _require_learning(reward)
                    binding["learn_every"] = config.learn_every
                model = make_agent(
                    config.algo, venv, reward, seed=config.seed, settings=settings, binding=binding
                )
                algorithm_of(config.algo).check_reward(model)  # before there is a folder
                run_folder.create(folder, request_of(config))
                cleanup.enter_context(run_folder.alone(folder))
            with tracking.tracked(wandb, folder, run_folder.read_config(folder), resume=resume):
                return _learn(model, config, folder, eval_venv, progress, earlier)


def prolong(folder: Path, steps: int) -> tuple[RunConfig, list[str]]:
    """Give a run a larger budget, finished or not: its request says so from now on, and it can be resumed.

    Resumed, it becomes what a run of that budget from the start is, if nothing that it was asked for looks at the budget.

    Returns:
        The request, and what differs from a run that had been asked for it from the start, in sentences.

    Raises:
        RunError: if the run has no checkpoint to go on from, or the budget is not larger.
    """
    config = RunConfig.from_folder(folder)
    require_own(folder)
    if steps <= config.steps:
        raise RunError(f"The run in {folder} was asked for {config.steps:,} steps: ask for more than that.")
    if not checkpoints(folder / run_folder.CHECKPOINTS):
        raise RunError(f"{folder} has no checkpoint to go on from: start a run of {steps:,} steps anew.")
    longer = replace(config, steps=steps)
    written = yaml.safe_dump(plain(longer.as_data()), sort_keys=False)
    with unless_refused(f"The run in {folder}"):
        # first: with a result a run of the new budget would look finished
        (folder / run_folder.RESULT).unlink(missing_ok=True)
        run_folder.write_text(folder / run_folder.CONFIG, written)
    differs = []
    if share := config.settings.get("exploration_fraction"):
        differs.append(
            f"{config.algo} explored less with every step up to {share:.0%} of its budget, {round(share * config.steps):,} steps; "
            f"from here on it explores as in a run of {steps:,} steps, up to step {round(share * steps):,}."
        )
    return longer, differs


def _books(config: RunConfig, folder: Path) -> list[Path]:
    """The files that a run appends to and its result is made from."""
    names = (EPISODES_FILE, EVALUATIONS_FILE, *algorithm_of(config.algo).files)
    return [folder / name for name in names]


def require_spaces(venv: VecEnv, eval_venv: VecEnv) -> None:
    """Raise `RunError` unless an agent of the one environment can act in the other."""
    for space in ("observation_space", "action_space"):
        there, here = getattr(venv, space), getattr(eval_venv, space)
        if there != here:
            raise RunError(
                f"train_kwargs and eval_kwargs make two tasks: the {space} is {there} in training and {here} in evaluation."
            )


def _require_learning(reward: Expression | None) -> None:
    if reward is None or not any(reader.learned for reader in readers_of(reward)):
        raise RunError("learn_every is for rewards that learn, and nothing in this one does: leave it out.")


def _answers(reward: Expression | None, folder: Path, *, repeated: bool) -> Correspondence | None:
    """The correspondence of a reward that asks, with the log in ``folder``; None if nobody asks."""
    askers = (
        {} if reward is None else {name: each for each, name in named_readers(reward).items() if each.asks}
    )
    if not askers:
        return None
    return Correspondence(None if repeated else annotator_of(askers), AnswerLog(folder / run_folder.ANSWERS))


def _open(cleanup: ExitStack, venv: VecEnv) -> VecEnv:
    cleanup.callback(venv.close)
    return venv


def _learn(
    model: BaseAlgorithm,
    config: RunConfig,
    folder: Path,
    eval_venv: VecEnv,
    progress: Progress | None,
    earlier: Costs | None,
) -> Evaluation:
    meter = CostMeter(model)
    assert config.eval_episodes is not None  # noqa: S101  # settled

    def write_costs() -> None:
        costs = meter.costs()
        cost_file.write(folder, costs if earlier is None else earlier.then(costs))

    episodes = ShapingCallback(folder)
    algorithm = algorithm_of(config.algo)
    callbacks: list[BaseCallback] = [episodes, *algorithm.callbacks(folder)]
    if config.checkpoint_every:
        callbacks.append(
            CheckpointCallback(
                folder / run_folder.CHECKPOINTS,
                config.checkpoint_every,
                books=_books(config, folder),
                on_saved=write_costs,
            )
        )
    if config.eval_every:
        callbacks.append(
            EvaluationCallback(
                eval_venv,
                config.eval_every,
                episodes=config.eval_episodes,
                seed=EVALUATION_SEED,
                deterministic=False,
                folder=folder,
            )
        )
    if progress is not None:
        callbacks.append(_Report(progress, episodes))
    model.set_logger(configure(str(folder / run_folder.TENSORBOARD), ["tensorboard"]))
    try:
        with warnings.catch_warnings():
            # `load_checkpoint` says so when it matters: when the run is resumed.
            warnings.filterwarnings("ignore", message=".*has no snapshots", category=UserWarning)
            with meter:
                model.learn(
                    config.steps - model.num_timesteps,
                    callback=callbacks,
                    reset_num_timesteps=model.num_timesteps == 0,
                )
        if config.checkpoint_every:
            _keep_end(model, folder / run_folder.CHECKPOINTS, _books(config, folder))
        result = evaluate(model, eval_venv, config.eval_episodes, seed=EVALUATION_SEED, deterministic=False)
    finally:
        model.logger.close()
    save_model(folder / run_folder.MODEL, model)
    model.save(folder / run_folder.PICKLED_MODEL)
    assert model.env is not None  # noqa: S101  # it has just been trained
    surface = find_surface(model.env)
    if surface is not None:
        save_engine(surface.engine, folder / run_folder.SHAPING)
    summary = {
        **result.as_row(),
        "steps": model.num_timesteps,
        "steps_to_first_success": episodes.steps_to_first_success,
        "alarms": {alarm.kind: alarm.step for alarm in episodes.alarms},
        **_recent(folder / EPISODES_FILE),
    }
    write_costs()
    algorithm.draw(folder)
    run_folder.write_text(folder / run_folder.RESULT, json.dumps(summary, indent=2) + "\n")
    return result


def _keep_end(model: BaseAlgorithm, folder: Path, books: list[Path]) -> None:
    """Save a checkpoint of the end, from which the run can be prolonged."""
    end = folder / f"step_{model.num_timesteps}"
    if not end.exists():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has no snapshots", category=UserWarning)
            save_checkpoint(end, model, books)


def _recent(path: Path) -> dict[str, Any]:
    """What the last training episodes were paid: the shaped return and that of each part, as means."""
    rows = deque(each_json_line(path, EPISODE) if path.exists() else (), RECENT_EPISODES)
    if not rows:  # a short run may finish no episode
        return {"shaped_return": None, "parts": {}}
    return {
        "shaped_return": fmean(row["shaped_return"] for row in rows),
        "parts": {name: fmean(row["parts"].get(name, 0.0) for row in rows) for name in rows[-1]["parts"]},
    }


class _Report(BaseCallback):
    def __init__(self, progress: Progress, episodes: ShapingCallback) -> None:
        super().__init__()
        self._progress = progress
        self._episodes = episodes

    def _on_step(self) -> bool:
        self._progress(self.num_timesteps, self._episodes)
        return True


def _checkpoint(folder: Path, step: int | None) -> Path:
    """Where a run goes on: at its last checkpoint that is whole, or at that of a step."""
    if run_folder.is_finished(folder):
        raise RunError(
            f"The run in {folder} is finished. To go on with it, ask for more: --resume FOLDER --steps N."
        )
    found = {path.name.removeprefix("step_"): path for path in checkpoints(folder / run_folder.CHECKPOINTS)}
    if not found:
        raise RunError(f"{folder} has no checkpoint yet: start the run anew in another folder.")
    if step is not None:
        if str(step) not in found:
            raise RunError(f"{folder} has no checkpoint of step {step}: it has those of {', '.join(found)}.")
        return found[str(step)]
    *older, latest = found.values()
    for path in (latest, *reversed(older)):
        try:
            read_manifest(path)
        except CheckpointError as error:
            damage = error
            continue
        if path != latest:
            warnings.warn(f"{damage} The run goes on from {path.name}.", UserWarning, stacklevel=2)
        return path
    raise damage
