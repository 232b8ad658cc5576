"""Run and sweep folders that somebody sends: no code of theirs runs, no path leads out, and damage is named."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from shapegym.agents import model_files
from shapegym.agents.checkpoint import MANIFEST, _digest, checkpoints, load_checkpoint, save_checkpoint
from shapegym.agents.environments import make_vec_env
from shapegym.agents.errors import CheckpointError
from shapegym.agents.factory import make_agent
from shapegym.experiments import RunConfig, RunError, load_suite, train
from shapegym.experiments.cli import app
from shapegym.experiments.inside import inside, require_own
from shapegym.experiments.runs import run_folder
from shapegym.experiments.sweeps.loop import attempt
from shapegym.experiments.sweeps.plan import Job, Plan
from shapegym.experiments.sweeps.workspace import PLAN, open_workspace, read_plan

CORRIDOR = "shapegym/Corridor-v0"
SETTINGS = {"n_steps": 16, "num_envs": 2, "batch_size": 16}
SUITE = {
    "title": "Small",
    "seeds": 2,
    "settings": SETTINGS,
    "eval": {"points": 1, "episodes": 1},
    "rewards": {"sparse": None},
    "tasks": {"c": {"env": CORRIDOR, "steps": 32}},
}


def command(*arguments: object, code: int | None = None) -> str:
    """What a command says. It never ends in a traceback."""
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    assert code is None or found.exit_code == code, found.output
    return " ".join(found.output.split())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was broken off, a finished one, and a sweep."""
    folder = tmp_path_factory.mktemp("made")
    config = RunConfig(
        CORRIDOR,
        160,
        env_kwargs={"length": 4},
        settings=SETTINGS,
        checkpoint_every=32,
        eval_every=64,
        eval_episodes=2,
    )
    train(config, folder / "finished")
    broken_off = shutil.copytree(folder / "finished", folder / "broken_off")
    (broken_off / run_folder.RESULT).unlink()
    suite = load_suite(SUITE)
    request = {
        "suite": suite.as_source(),
        "quick": False,
        "only": "",
        "seeds": None,
        "set": [],
        "search": None,
    }
    workspace = open_workspace(
        folder / "sweep", suite.plan(), request={**request, "trials": None, "ablate": False, "imports": []}
    )
    for job in workspace.plan.jobs:
        attempt(job, workspace.folder, lambda event: None)
        workspace.record(job)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "sent")


# ---------------------------------------------------------------------- no code


class Canary:
    """Runs code when it is unpickled."""

    def __init__(self, cage: Path) -> None:
        self.cage = cage

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.cage),))


def plant(path: Path, cage: Path) -> None:
    """Put a pickle where a reader that unpickles would find it."""
    content = pickle.dumps(Canary(cage))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", json.dumps({"policy_class": {":serialized:": _base64(content)}}))
            for name in ("policy.pth", "pytorch_variables.pth"):
                archive.writestr(name, content)
    elif path.suffix == ".npz":
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **{**arrays, next(iter(arrays)): np.array([Canary(cage)], object)}, allow_pickle=True)
    else:
        path.write_bytes(content)


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


def accept(folder: Path) -> None:
    """Write the checksums of a checkpoint anew, as who changed its files would."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"] = {name: _digest(folder / name) for name in manifest["files"]}
    path.write_text(json.dumps(manifest))


def test_a_pickle_in_any_file_of_a_folder_is_never_loaded(folder: Path, tmp_path: Path) -> None:
    cage = tmp_path / "flown"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".zip", ".npz"):
            plant(path, cage)
    for path in folder.rglob("step_*"):
        for name in ("model.zip", "model.pth", "replay.pkl"):
            plant(path / name, cage)
        accept(path)
    for arguments in (
        ("train", "--resume", folder / "broken_off"),
        ("record", folder / "finished", "--out", tmp_path / "base.npz"),
        ("audit", "novelty", "--env", CORRIDOR, "--run", folder / "finished"),
        ("verify", folder / "sweep"),
        ("sweep", folder / "sweep", "--workers", 1),
        ("report", folder / "sweep"),
        ("compare", folder / "sweep", folder / "sweep"),
    ):
        command(*arguments)
        assert not cage.exists(), arguments


def test_the_canary_flies_where_pickles_are_loaded(folder: Path, tmp_path: Path) -> None:
    plant(folder / "finished" / "model.zip", tmp_path / "flown")
    (folder / "finished" / "model.npz").unlink()
    record = ("record", folder / "finished", "--out", tmp_path / "base.npz")
    assert "--trust" in command(*record, code=2)
    assert not (tmp_path / "flown").exists()
    command(*record, "--trust")
    assert (tmp_path / "flown").exists()


def fast(progress: float) -> float:
    return 3e-3 * progress


def test_settings_that_are_functions_need_trust(tmp_path: Path) -> None:
    model = make_agent("PPO", CORRIDOR, seed=0, **SETTINGS, learning_rate=fast).learn(32)
    saved = save_checkpoint(tmp_path / "saved", model)
    env = make_vec_env(CORRIDOR, 2)
    with pytest.raises(CheckpointError, match=r"learning_rate, lr_schedule|learning_rate.*trust=True"):
        load_checkpoint(saved, env)
    assert load_checkpoint(saved, env, trust=True).learning_rate(1.0) == 3e-3


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "torch:load",
        "torch.hub:load",
        "builtins:exec",
        "subprocess:Popen",
        "not_there:Net",
        3,
        "",
    ],
)
def test_a_model_names_no_other_classes_than_models_have(tmp_path: Path, name: object) -> None:
    model = make_agent("PPO", CORRIDOR, seed=0, **SETTINGS)
    model_files.save_model(path := tmp_path / "model.npz", model)
    for place in ("policy_class", "rollout_buffer_class", "policy_kwargs"):
        with np.load(path) as file:
            arrays = dict(file)
        tree = json.loads(str(arrays["tree"]))
        tree["mapping"]["attributes"]["mapping"][place] = {"class": name}
        np.savez(tmp_path / "crafted.npz", **{**arrays, "tree": np.array(json.dumps(tree))})
        with pytest.raises(CheckpointError, match="which is not loaded, or of no kind"):
            model_files.load_model(tmp_path / "crafted.npz", make_vec_env(CORRIDOR, 2))


def test_networks_of_ones_own_are_found_by_name_once_loaded(tmp_path: Path) -> None:
    kwargs = {"activation_fn": torch.nn.ELU, "optimizer_class": torch.optim.SGD, "net_arch": [4]}
    model = make_agent("PPO", CORRIDOR, seed=0, **SETTINGS, policy_kwargs=kwargs).learn(32)
    model_files.save_model(tmp_path / "model.npz", model)
    loaded = model_files.load_model(tmp_path / "model.npz", make_vec_env(CORRIDOR, 2))
    assert loaded.policy_kwargs == model.policy_kwargs
    assert model_files.code_of(model) == []


@pytest.mark.parametrize("place", ["imports", "env"])
def test_modules_that_a_folder_names_are_imported_only_if_the_person_names_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "bird_in_module.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'flown')!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bird_in_module", raising=False)
    new = ["bird_in_module"] if place == "imports" else f"bird_in_module:{CORRIDOR}"
    for path in folder.rglob(run_folder.CONFIG):
        config = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**config, place: new}))
    jobs = [Job(job.task, job.strategy, RunConfig(**{**job.config.as_data(), place: new}))
            for job in read_plan(folder / "sweep").jobs]  # fmt: skip
    lines = [{"id": job.id, "digest": job.digest, **job.as_data()} for job in jobs]
    (folder / "sweep" / PLAN).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "sweep" / "results.jsonl").unlink()
    for arguments in (
        ("train", "--resume", folder / "broken_off"),
        ("record", folder / "finished", "--out", tmp_path / "base.npz"),
        ("sweep", folder / "sweep", "--workers", 1),
    ):
        assert "--import bird_in_module" in command(*arguments, code=2)
    for arguments in (("verify", folder / "sweep"), ("report", folder / "sweep")):
        command(*arguments)
    assert not (tmp_path / "flown").exists()
    command("record", folder / "finished", "--out", tmp_path / "base.npz", "--steps", 8, "--trust", code=0)
    assert (tmp_path / "flown").exists()


# ---------------------------------------------------------------------- no paths out

OUTSIDE = [
    {"task": "..", "strategy": "../victim"},
    {"task": "/tmp", "strategy": "victim"},
    {"task": "c", "strategy": ".."},
    {"task": "c", "strategy": "sparse/0/checkpoints"},
    {"task": "c", "strategy": ""},
    {"task": "c", "strategy": "a\x00b"},
    {"task": "c\\..\\..", "strategy": "x"},
    {"task": "c", "strategy": "\x1b[2J"},
    {"variant": {"../../../victim": 1}},
    {"task": "c" * 300},
    {"task": 3},
    {"stage": -1},
    {"stage": "../.."},
]


@pytest.mark.parametrize("change", OUTSIDE, ids=str)
def test_a_line_of_a_plan_leads_nowhere_else(folder: Path, change: dict[str, object]) -> None:
    plan = folder / "sweep" / PLAN
    victim = folder / "victim" / "0"
    victim.mkdir(parents=True)
    (victim / "wedding.jpg").write_text("precious")
    line = {**json.loads(plan.read_text().splitlines()[0]), **change}
    plan.write_text(plan.read_text() + json.dumps(line) + "\n")
    before = _tree(folder)
    for name in ("sweep", "verify", "report"):
        assert "plan.jsonl, line 3" in command(name, folder / "sweep", code=2)
    assert _tree(folder) == before


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "locks" not in path.parts
    }


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "a//b", "", ".", "a\x00", "a\\b", "a\nb"])
def test_a_name_is_a_place_inside_or_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError):
        inside(tmp_path, name)
    with pytest.raises(RunError):
        Plan("p", "", (Job("c", name, RunConfig(CORRIDOR, 8)),))


@pytest.mark.parametrize(
    "where",
    [
        "runs/c",
        "runs/c/sparse",
        "runs/c/sparse/0",
        "results.jsonl",
        "locks",
        "locks/books.lock",
        "logs",
        ".trash",
    ],
)
def test_a_link_in_a_sweep_leads_nowhere_else(folder: Path, tmp_path: Path, where: str) -> None:
    place, elsewhere = folder / "sweep" / where, tmp_path / "elsewhere"
    if place.is_dir():
        shutil.move(place, elsewhere)
    else:
        place.unlink(missing_ok=True)
        elsewhere.write_text("precious\n")
    place.symlink_to(elsewhere)
    (folder / "sweep" / "runs/c/sparse/0/result.json").unlink(missing_ok=True)
    before = _tree(elsewhere) if elsewhere.is_dir() else elsewhere.read_text()
    assert "is a link" in command("sweep", folder / "sweep", "--workers", 1)
    assert before == (_tree(elsewhere) if elsewhere.is_dir() else elsewhere.read_text())


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo"])
@pytest.mark.parametrize(
    "name", ["episodes.jsonl", "evaluations.jsonl", "tensorboard", "checkpoints/step_128"]
)
def test_what_a_run_writes_stays_in_its_folder(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    place, elsewhere = folder / "broken_off" / name, tmp_path / "elsewhere"
    if place.is_dir() and kind != "link":
        place = place / next(os.walk(place))[2][0]
    shutil.move(place, elsewhere)
    if kind == "link":
        place.symlink_to(elsewhere)
    elif kind == "hard link":
        place.hardlink_to(elsewhere)
    else:
        os.mkfifo(place)
    said = command("train", "--resume", folder / "broken_off", code=2)
    assert {"link": "is a link", "hard link": "hard link", "fifo": "neither a file"}[kind] in said


def test_links_within_a_folder_are_its_own_business(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "latest").symlink_to(tmp_path / "a")
    require_own(tmp_path)
    (tmp_path / "a" / "out").symlink_to("/")
    require_own(tmp_path, below=False)
    with pytest.raises(RunError, match="leads out"):
        require_own(tmp_path)


@pytest.mark.parametrize(
    "name", ["../../finished/config.yaml", "/etc/hostname", "config.yaml", "model.npz/x"]
)
def test_a_manifest_names_files_of_its_checkpoint_only(folder: Path, name: str) -> None:
    *_, latest = checkpoints(folder / "broken_off" / "checkpoints")
    manifest = json.loads((latest / MANIFEST).read_text())
    manifest["files"][name] = "0" * 64
    (latest / MANIFEST).write_text(json.dumps(manifest))
    said = command("train", "--resume", folder / "broken_off", "--checkpoint", 128, code=2)
    assert "which no checkpoint has" in said
