"""Exact resume: train N steps, save, load in a new process, train N more, and get what 2 N steps in one go give, to the last bit.

A checkpoint is a folder: the model (parameters, optimisers, settings, counters), the replay buffer with the parts of its rewards,
the reward's state, and everything around the agent: environments, their wrappers, random streams. It is consistent only between two
rollouts, so save after ``learn`` or with `CheckpointCallback`. Exactness is for the CPU with one thread and the same versions of
the libraries. Nothing of it is code (`shapegym.agents.model_files`), unless the model has settings that are functions; then SB3's
zip, which is pickled Python, lies beside the rest, and is read only by who says ``trust=True``.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
import shutil
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her import HerReplayBuffer

from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.agents.bridge import VectorEnvBridge
from shapegym.agents.callbacks import find_surface
from shapegym.agents.errors import CheckpointError
from shapegym.agents.model_files import LAST, WHY_TRUST, code_of, load_model, save_model
from shapegym.agents.randomness import capture_randomness, restore_randomness
from shapegym.agents.state_tree import read_tree, write_tree
from shapegym.shaping.errors import said_as
from shapegym.shaping.evaluation.answers import Correspondence
from shapegym.shaping.files.state_files import load_engine, save_engine
from shapegym.shaping.limited_files import MIB, opened, read_object
from shapegym.shaping.limits import Count, Natural, checked
from shapegym.shaping.surfaces.layers import batch_layers
from shapegym.shaping.surfaces.wiring import wire
from shapegym.shaping.types import Expression

FORMAT = "shapegym checkpoint"
FORMAT_VERSION = 3
PICKLED_VERSION = 2
"""The last one whose model is pickled Python."""

MANIFEST, MODEL, REPLAY, REWARD = "manifest.json", "model.npz", "replay.npz", "reward.npz"
PICKLED_MODEL = "model.zip"
SURROUNDINGS, WRAPPER = "surroundings.npz", "wrapper{}.npz"
_MANIFEST: dict[str, Any] = {
    "algorithm": str,
    "num_timesteps": Natural,
    "num_envs": Count,
    "reward": str | None,
    "reward_seed": int,
    "on_nonfinite": str,
    "learn_every": Count | None,
    "layers": list[str],
    "files": dict[str, str],
    "books": dict[str, list[Any]] | None,
}
"""What a manifest says, and its kinds."""
_STEP = re.compile("step_[0-9]+")
_FILE = re.compile(r"(model|replay|reward|surroundings|wrapper[0-9]+)\.npz|model\.zip")

_VERSIONS_OF = ("shapegym", "stable-baselines3", "sb3-contrib", "torch", "numpy", "gymnasium")


def save_checkpoint(folder: str | Path, model: BaseAlgorithm, books: Sequence[Path] = ()) -> Path:
    """Write a checkpoint of ``model``, its environment and its reward; all of it, or nothing.

    If the environment has no snapshots, resuming will begin new episodes; a warning says so.

    Args:
        folder: must not exist.
        model: between two rollouts: not from a callback's ``_on_step``.
        books: files that the run appends to; `require_books` compares them when it goes on.

    Raises:
        CheckpointError: if the folder exists, or the model has no environment.
    """
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(
            f"{folder} exists already; checkpoints are never overwritten. Choose another folder."
        )
    if model.env is None:
        raise CheckpointError(
            "The model has no environment, so there is nothing to resume; model.save(path) keeps its parameters."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
    partial.mkdir()
    try:
        _write_files(partial, model, books)
        for path in (*partial.iterdir(), partial):
            _sync(path)
        os.rename(partial, folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def load_checkpoint(
    folder: str | Path,
    env: VecEnv,
    reward: Expression | None = None,
    *,
    algorithm: type[BaseAlgorithm] | None = None,
    device: str = "cpu",
    answers: Correspondence | None = None,
    trust: bool = False,
) -> BaseAlgorithm:
    """Return the model of a checkpoint on ``env``, wired to ``reward``, ready to go on; a warning says if new episodes begin.

        model = load_checkpoint("run/checkpoints/step_50000", make_vec_env("shapegym/FourRooms-v0", 16), reward)
        model.learn(100_000 - model.num_timesteps, reset_num_timesteps=False)

    Args:
        folder: a `save_checkpoint` folder.
        env: constructed as the saved one was, wrappers included; its seed does not matter.
        reward: the expression that was wired, or None if none was.
        algorithm: for a class that nobody registered.
        device: of the networks.
        answers: of a reward that asks an annotator, with the log of the run.
        trust: read a model that is partly pickled Python, which can run anything.

    Raises:
        CheckpointError: if the checkpoint is corrupt or foreign, was saved with another environment or reward, or needs
            ``trust``.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    _require_same("the reward", manifest["reward"], None if reward is None else str(reward))
    _require_same("the number of lanes", manifest["num_envs"], env.num_envs)
    algorithm = algorithm or algorithm_of(manifest["algorithm"]).kind
    _require_same("the algorithm", manifest["algorithm"], algorithm.__name__)
    model = _load_model(folder, manifest, env, algorithm, device, trust)
    if reward is not None:
        saved = {key: manifest[key] for key in ("on_nonfinite", "learn_every") if manifest[key] is not None}
        wire(model, reward, seed=manifest["reward_seed"], answers=answers, **saved)
    with said_as(CheckpointError, Exception, f"{folder} cannot be resumed on this environment: ", "."):
        _restore(folder, manifest, model)
    return model


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint after comparing every file with it.

    Raises:
        CheckpointError: if the folder is no checkpoint, or a file is missing or was changed.
    """
    folder = Path(folder)
    manifest = read_object(folder / MANIFEST, CheckpointError, "manifest")
    known = manifest.get("format"), manifest.get("format_version")
    if known not in ((FORMAT, FORMAT_VERSION), (FORMAT, PICKLED_VERSION)):
        raise CheckpointError(
            f"{folder / MANIFEST} is of {known[0]!r}, version {known[1]!r}; this reads {FORMAT!r}, version {FORMAT_VERSION}."
        )
    for name, hint in _MANIFEST.items():
        manifest[name] = checked(f"{folder / MANIFEST}: {name}", hint, manifest.get(name), CheckpointError)
    for name, digest in manifest["files"].items():
        path = folder / name
        if not _FILE.fullmatch(name):
            raise CheckpointError(f"{folder / MANIFEST} names the file {name!r}, which no checkpoint has.")
        if path.is_symlink() or not path.is_file():
            raise CheckpointError(f"{folder} is incomplete: {name} is missing. Take an earlier checkpoint.")
        if _digest(path) != digest:
            raise CheckpointError(
                f"{path} was changed or damaged after it was written. Take an earlier checkpoint."
            )
    return manifest


def require_books(folder: Path, books: Sequence[Path]) -> None:
    """Raise `CheckpointError` if a file that a run appends to is not what it was, as far as it had come at a checkpoint."""
    known = read_manifest(folder)["books"] or {}
    for path in books:
        with said_as(
            CheckpointError, (TypeError, ValueError), f"{folder / MANIFEST}: books: {path.name} is none: "
        ):
            size, digest = known.get(path.name, (0, ""))
            size = operator.index(size)
        if size and not (path.is_file() and path.stat().st_size >= size and _digest(path, size) == digest):
            raise CheckpointError(
                f"{path} was lost, cut or changed since {folder.name} was saved, and what it told would be missing from the result "
                "(such as the first success). Put it back from a copy, choose an older checkpoint, or begin the run anew."
            )


def _write_files(folder: Path, model: BaseAlgorithm, books: Sequence[Path]) -> None:
    env = model.env
    assert env is not None  # noqa: S101  # checked by the caller
    surface = find_surface(env)
    save_model(folder / MODEL, model)
    if code := code_of(model):
        model.save(folder / PICKLED_MODEL)
    write_tree(folder / SURROUNDINGS, _surroundings(model))
    for depth, wrapper in enumerate([*batch_layers(env)][:-1]):
        write_tree(folder / WRAPPER.format(depth), wrapper)
    if surface is not None:
        save_engine(surface.engine, folder / REWARD)
    if isinstance(model, OffPolicyAlgorithm):
        write_tree(folder / REPLAY, model.replay_buffer)
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "algorithm": type(model).__name__,
        "code": code,
        "num_timesteps": model.num_timesteps,
        "num_envs": model.n_envs,
        "reward": None if surface is None else str(surface.engine.expression),
        "reward_seed": 0 if surface is None else surface.engine.spec.seed,
        "on_nonfinite": "raise" if surface is None else surface.engine.on_nonfinite,
        "learn_every": None if surface is None else surface.engine.learn_every,
        "layers": [type(layer).__name__ for layer in batch_layers(env)],
        "versions": {name: version(name) for name in _VERSIONS_OF},
        "books": {path.name: [path.stat().st_size, _digest(path)] for path in books if path.exists()},
        "files": {path.name: _digest(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _surroundings(model: BaseAlgorithm) -> dict[str, Any]:
    """What SB3 does not save: the state of the environments, recurrent states, random streams."""
    assert model.env is not None  # noqa: S101
    base = model.env.unwrapped
    snapshot = base.snapshot() if isinstance(base, VectorEnvBridge) and base.can_snapshot else None
    if snapshot is None:
        warnings.warn(
            f"{type(base).__name__} has no snapshots: resuming from this checkpoint begins new episodes, so it will not repeat the "
            "uninterrupted run. Environments of shapegym resume exactly.",
            UserWarning,
            stacklevel=4,
        )
    return {
        "base": snapshot,
        "last": {name: getattr(model, name) for name in LAST},
        "lstm": _plain_lstm(model),
        "randomness": capture_randomness(model.action_space),
    }


def _load_model(
    folder: Path,
    manifest: Mapping[str, Any],
    env: VecEnv,
    algorithm: type[BaseAlgorithm],
    device: str,
    trust: bool,
) -> BaseAlgorithm:
    code = manifest.get("code", ["all settings"])
    if not code:
        return load_model(folder / MODEL, env, algorithm=algorithm, device=device)
    if not trust:
        raise CheckpointError(
            f"{folder} keeps a part of its model as pickled Python ({', '.join(code)}), {WHY_TRUST}"
        )
    with said_as(CheckpointError, Exception, f"{folder} cannot be resumed on this environment: ", "."):
        return algorithm.load(folder / PICKLED_MODEL, env=env, device=device, force_reset=False)


def _restore(folder: Path, manifest: dict[str, Any], model: BaseAlgorithm) -> None:
    assert model.env is not None  # noqa: S101
    surface = find_surface(model.env)
    layers = list(batch_layers(model.env))
    _require_same(
        "the layers of the environment", manifest["layers"], [type(layer).__name__ for layer in layers]
    )
    if surface is not None:
        load_engine(surface.engine, folder / REWARD)
    if isinstance(model, OffPolicyAlgorithm):
        read_tree(folder / REPLAY, model.replay_buffer)
    *wrappers, base = layers
    for depth, wrapper in enumerate(wrappers):
        read_tree(folder / WRAPPER.format(depth), wrapper)
    state = read_tree(folder / SURROUNDINGS)
    if state["base"] is not None and isinstance(base, VectorEnvBridge):
        base.restore(state["base"])
        for name, value in state["last"].items():
            setattr(model, name, value)
    else:
        warnings.warn(
            f"{folder.name} holds no state of the environments, so they begin new episodes: the run will not repeat the "
            "uninterrupted one.",
            UserWarning,
            stacklevel=3,
        )
        model._last_obs = None  # learn() then resets the environments
        buffer = getattr(model, "replay_buffer", None)
        if isinstance(buffer, HerReplayBuffer):
            buffer.truncate_last_trajectory()
    if state["lstm"] is not None:
        _restore_lstm(model, state["lstm"])
    restore_randomness(state["randomness"], model.action_space)


class CheckpointCallback(BaseCallback):
    """Saves a checkpoint every ``every`` global steps, and keeps the last few.

    It saves where a rollout starts, the only place in ``learn`` where model, buffer, environment and reward belong together: at the
    first start at or after each multiple of ``every``. With gSDE, SB3 has drawn the rollout's noise just before; it is drawn again
    after saving, so that the run that goes on and the one that resumes use the same.

    Args:
        folder: gets one folder a checkpoint, ``step_<global step>``.
        every: global steps.
        keep: how many of the latest are kept, at least 1.
        books: see `save_checkpoint`.
        on_saved: called after each.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int,
        *,
        keep: int = 3,
        books: Sequence[Path] = (),
        on_saved: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.every = checked("every", Count, every, CheckpointError)
        self.keep = checked("keep", Count, keep, CheckpointError)
        self.books = books
        self.on_saved = on_saved
        self._next = every

    def _on_training_start(self) -> None:
        self._next = (self.num_timesteps // self.every + 1) * self.every
        found = checkpoints(self.folder)
        for path in found:
            if path.is_symlink():
                raise CheckpointError(
                    f"The checkpoint {path} is a link, and checkpoints are deleted when newer ones come. Put the folder itself "
                    "there, or delete the link."
                )
        later = [path for path in found if _step(path) > self.num_timesteps]
        if later and self.num_timesteps == 0:
            raise CheckpointError(
                f"{self.folder} holds checkpoints of another run. Choose another folder, or resume from {later[-1]}."
            )
        for path in later:  # of a future that this run, resumed from an earlier one, replaces
            _discard(path)
        for path in self.folder.glob(".*.partial"):  # what a killed process was about to save or discard
            if path.is_symlink():
                path.unlink()
            else:
                shutil.rmtree(path)

    def _on_rollout_start(self) -> None:
        if self.num_timesteps < self._next:
            return
        self._next = (self.num_timesteps // self.every + 1) * self.every
        save_checkpoint(self.folder / f"step_{self.num_timesteps}", self.model, self.books)
        if self.model.use_sde:
            self.model.policy.reset_noise(self.model.n_envs)  # type: ignore[operator]
        for path in checkpoints(self.folder)[: -self.keep]:
            _discard(path)
        if self.on_saved is not None:
            self.on_saved()

    def _on_step(self) -> bool:
        return True


def checkpoints(folder: str | Path) -> list[Path]:
    """Return the checkpoints that `CheckpointCallback` wrote to ``folder``, the latest last."""
    found = (path for path in Path(folder).glob("step_*") if _STEP.fullmatch(path.name))
    return sorted(found, key=_step)


def _discard(path: Path) -> None:
    """Delete a checkpoint; first its name, so that a process killed meanwhile leaves none that looks whole."""
    doomed = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def _plain_lstm(model: BaseAlgorithm) -> Any:
    """The recurrent states of RecurrentPPO, which SB3 zeroes when it loads."""
    states = getattr(model, "_last_lstm_states", None)
    return None if states is None else {"pi": tuple(states.pi), "vf": tuple(states.vf)}


def _restore_lstm(model: BaseAlgorithm, saved: dict[str, Any]) -> None:
    tensors = {
        name: tuple(torch.as_tensor(values).to(model.device) for values in pair)
        for name, pair in saved.items()
    }
    model._last_lstm_states = model._last_lstm_states._replace(**tensors)  # type: ignore[attr-defined]


def _require_same(what: str, saved: Any, given: Any) -> None:
    if saved != given:
        raise CheckpointError(
            f"The checkpoint was saved with another value of {what}: {saved}; given was {given}."
        )


def _digest(path: Path, size: int | None = None) -> str:
    """Of a file, or of its first bytes."""
    with opened(path, CheckpointError) as file:
        if size is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        found = hashlib.sha256()
        while size and (chunk := file.read(min(size, MIB))):
            found.update(chunk)
            size -= len(chunk)
        return found.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
