"""Callbacks: what every training episode earned, and regular evaluation on the task."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.vec_env import VecEnv

from shapegym.agents.errors import SettingsError
from shapegym.agents.evaluation import Evaluation, evaluate
from shapegym.agents.metrics import EPISODE, EVALUATION, JsonLines
from shapegym.shaping.audit.alarms import Alarm, Watch, harmless_parts, task_parts
from shapegym.shaping.evaluation.ledger import EpisodeRecord
from shapegym.shaping.limits import Count, checked
from shapegym.shaping.surfaces.collect import success_in
from shapegym.shaping.surfaces.layers import batch_layers
from shapegym.shaping.surfaces.sb3_vec import MeasuringVecEnv, TransitionVecEnv

EPISODES_FILE = "episodes.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
ALARMS_FILE = "alarms.jsonl"
BEST_MODEL_FILE = "best_model.zip"

log = logging.getLogger("shapegym")


def keep_alarms_to_files() -> None:
    """Let this process not print alarms: where many runs are made at once nobody could tell whose they are."""
    log.addHandler(logging.NullHandler())


class ShapingCallback(BaseCallback):
    """Logs every finished training episode: task return, shaped return, each part, success.

    To SB3's logger (means since its last dump): ``task/return``, ``task/episode_length``, ``task/success_rate``, and with a wired
    reward ``shaping/return``, ``shaping/part/<name>``, of learned terms ``shaping/fit/<name>/<number>``, and of terms that move
    (schedules, multipliers, the arm of a bandit) the value of now, ``shaping/now/<name>``. To ``episodes.jsonl``: a row for every
    episode with ``step`` (the global step at its end), ``lane``, ``length``, ``task_return``, ``shaped_return``, ``success``,
    ``parts`` (and ``logged``, if something is logged and not paid); rows of episodes that a resumed run repeats are dropped first.
    Without a wired reward the episodes come from Monitor's infos, and the shaped return is the task's.

    With a wired reward it also watches for signs that the agent is paid for something else than the task
    (`shapegym.shaping.audit.alarms`). An alarm goes to SB3's logger (``alarm/<kind>``, 1 from then on), to ``alarms.jsonl``, and to
    Python's log "shapegym" as a warning.

    On-policy, rewards are settled after a rollout, so episodes are logged then.

    Args:
        folder: where the files go; None writes none.

    Attributes:
        steps_to_first_success: global step at which the first successful episode ended, or None.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.steps_to_first_success: int | None = None
        self._file: JsonLines | None = None
        self._alarms_file: JsonLines | None = None
        self._surface: TransitionVecEnv | None = None
        self._watch: Watch | None = None
        self._clock_offset = 0

    def _on_training_start(self) -> None:
        self._surface = find_surface(self.training_env)
        if self._surface is not None:
            self._clock_offset = self.num_timesteps - self._surface.engine.clock
            reward = self._surface.engine.expression
            self._watch = Watch(self.model._total_timesteps, harmless_parts(reward), task_parts(reward))
        if self.folder is not None:
            self._file = JsonLines(Path(self.folder) / EPISODES_FILE, self.num_timesteps, EPISODE)
            solved = (row["step"] for row in self._file.rows() if row["success"])
            self.steps_to_first_success = min(solved, default=None)
            self._alarms_file = JsonLines(Path(self.folder) / ALARMS_FILE, resume_at=self.num_timesteps)
            if self._watch is not None and self._watch.append(self._file.rows()):
                # One may have been lost when the run was killed.
                self._alarms_file.rewrite(map(asdict, self.alarms))

    @property
    def alarms(self) -> list[Alarm]:
        """Those that sounded, in order."""
        return [] if self._watch is None else self._watch.alarms

    def _on_step(self) -> bool:
        if self._surface is None:
            self._log([self._from_monitor(lane) for lane in self.locals["dones"].nonzero()[0].tolist()])
        return True

    def _on_rollout_end(self) -> None:
        if self._surface is not None:
            self._log([self._from_record(record) for record in self._surface.drain_records()])
            for name, value in self._surface.engine.fitted.items():
                self.logger.record(f"shaping/fit/{name}", value)
            for name, value in self._surface.engine.moving.items():
                self.logger.record(f"shaping/now/{name}", value)

    def _log(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self.logger.record_mean("task/return", row["task_return"])
            self.logger.record_mean("task/episode_length", row["length"])
            if row["success"] is not None:
                self.logger.record_mean("task/success_rate", float(row["success"]))
            if self._surface is not None:
                self.logger.record_mean("shaping/return", row["shaped_return"])
                for name, value in (row["parts"] | row.get("logged", {})).items():
                    self.logger.record_mean(f"shaping/part/{name}", value)
            if row["success"] and self.steps_to_first_success is None:
                self.steps_to_first_success = row["step"]
                self.logger.record("task/steps_to_first_success", row["step"])
        if self._file is not None:
            self._file.append(rows)
        if self._watch is not None:
            self._sound(self._watch.append(rows))

    def _sound(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            log.warning("At step %s: %s.", f"{alarm.step:,}", alarm.message)
        if self._alarms_file is not None:
            self._alarms_file.append(map(asdict, alarms))
        for alarm in self.alarms:
            self.logger.record(f"alarm/{alarm.kind}", 1)

    def _from_record(self, record: EpisodeRecord) -> dict[str, Any]:
        step = record.clock + self._clock_offset + self.training_env.num_envs
        row = {"step": step, "lane": record.lane, **record.as_info(), "success": record.success}
        logged = self._surface.engine.logged if self._surface is not None else ()
        if logged:  # the parts of a row are what was paid, which reports and alarms add up
            row["parts"] = {name: value for name, value in record.parts.items() if name not in logged}
            row["logged"] = {name: record.parts[name] for name in logged}
        return row

    def _from_monitor(self, lane: int) -> dict[str, Any]:
        info = self.locals["infos"][lane]
        if "episode" not in info:
            raise SettingsError(
                "ShapingCallback finds neither a wired reward nor a Monitor, so nobody adds up the task's rewards. Make the "
                "environment with shapegym.agents.make_vec_env, or wrap it in SB3's Monitor or VecMonitor."
            )
        episode = info["episode"]
        success = success_in(info)
        return {
            "step": self.num_timesteps,
            "lane": lane,
            "task_return": episode["r"],
            "shaped_return": episode["r"],
            "length": episode["l"],
            "success": None if success is None else bool(success),
            "parts": {},
        }


class EvaluationCallback(BaseCallback):
    """Evaluates on the task at fixed intervals and keeps the best model (by success rate, then by mean task return).

    Logs ``eval/success_rate``, ``eval/mean_return``, ``eval/mean_length`` at the step of the evaluation; writes a row with these,
    ``step`` and ``episodes`` to ``evaluations.jsonl``, and ``best_model.zip``. Every evaluation plays the same seeds.

    Args:
        env: an environment id or a VecEnv of the plain task, not the training one.
        every: global steps between evaluations; the first is after as many.
        episodes: of each evaluation.
        seed: see `evaluate`.
        deterministic: see `evaluate`.
        folder: where files go; None writes none.

    Attributes:
        evaluations: (global step, result) of this run, in order.

    Raises:
        SettingsError: if ``every`` is below 1.
    """

    def __init__(
        self,
        env: str | VecEnv,
        every: int,
        *,
        episodes: int = 100,
        seed: int = 1_000_000,
        deterministic: bool = True,
        folder: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.env = env
        self.every = checked("every", Count, every, SettingsError)
        self.episodes = episodes
        self.seed = seed
        self.deterministic = deterministic
        self.folder = folder
        self.evaluations: list[tuple[int, Evaluation]] = []
        self._best: tuple[float, float] | None = None
        self._next = every
        self._file: JsonLines | None = None

    def _on_training_start(self) -> None:
        self._next = (self.num_timesteps // self.every + 1) * self.every
        if self.folder is not None:
            self._file = JsonLines(Path(self.folder) / EVALUATIONS_FILE, self.num_timesteps, EVALUATION)
            self._best = max(
                ((row["success_rate"] or 0.0, row["mean_return"]) for row in self._file.rows()), default=None
            )

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next = (self.num_timesteps // self.every + 1) * self.every
            self._evaluate(self.model)
        return True

    def _evaluate(self, model: BaseAlgorithm) -> None:
        result = evaluate(model, self.env, self.episodes, seed=self.seed, deterministic=self.deterministic)
        self.evaluations.append((self.num_timesteps, result))
        row = result.as_row()
        for name in ("success_rate", "mean_return", "mean_length"):
            if row[name] is not None:
                self.logger.record(f"eval/{name}", row[name])
        if self._file is not None:
            self._file.append([{"step": self.num_timesteps, **row}])
        if self._best is None or result.score > self._best:
            self._best = result.score
            if self.folder is not None:
                model.save(Path(self.folder) / BEST_MODEL_FILE)


def callbacks_of(callback: MaybeCallback) -> list[BaseCallback]:
    """Return what SB3's ``learn`` takes as callbacks as a list, to which an algorithm adds its own."""
    if callback is None:
        return []
    if isinstance(callback, list):
        return callback
    return [callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]


def find_surface(venv: VecEnv) -> TransitionVecEnv | None:
    """Return the layer of ``venv`` that measures or pays a reward expression, or None."""
    return next((layer for layer in batch_layers(venv) if isinstance(layer, TransitionVecEnv)), None)


def measuring_surface(model: BaseAlgorithm, otherwise: str) -> MeasuringVecEnv:
    """Return the layer that measures a model's reward for its buffer.

    Raises:
        SettingsError: if no reward is wired; says ``otherwise``.
    """
    surface = None if model.env is None else find_surface(model.env)
    if not isinstance(surface, MeasuringVecEnv):
        raise SettingsError(otherwise)
    return surface
