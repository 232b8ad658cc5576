"""Run and sweep folders that somebody sends: no code of theirs runs, no path leads out, and damage is named."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import sys
import zipfile
from contextlib import nullcontext
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from shapegym.agents import metrics, model_files
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
    shutil.rmtree(broken_off / "checkpoints" / "step_160", ignore_errors=True)  # of its end
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


def test_a_checkpoint_that_is_a_link_is_said_to_be_one(folder: Path) -> None:
    links = folder / "broken_off" / "checkpoints"
    (links / ".step_1.partial").symlink_to(checkpoints(links)[-1].name)  # of an older version's; goes
    link = links / "step_144"
    link.symlink_to(checkpoints(links)[-1].name)
    said = command("train", "--resume", folder / "broken_off", code=2)
    assert "step_144 is a link, and checkpoints are deleted" in said
    link.unlink()
    assert "judged by the task alone" in command("train", "--resume", folder / "broken_off", code=0)


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


# ---------------------------------------------------------------------- no crash, no hang

DEEP = "[" * 3000 + "]" * 3000
CONTENTS = {
    "empty": "",
    "binary": "\x00\x01\n",
    "cut": '{"a": [1, \n',
    "list": "[1]\n",
    "null": "null\n",
    "text": '"x"\n',
    "deep": DEEP + "\n",
    "infinite": '{"step": Infinity, "seconds": NaN}\n',
    "long": '{"step": ' + "9" * 5000 + "}\n",
    "object": '{"step": 1, "id": 3, "name": [], "format": {}, "files": 1, "message": 2}\n',
}
FILES = [
    "sweep/sweep.json",
    "sweep/plan.jsonl",
    "sweep/results.jsonl",
    "sweep/failures.jsonl",
    *(
        f"sweep/runs/c/sparse/0/{name}"
        for name in ("result.json", "config.yaml", "versions.json", "costs.json")
    ),
    "sweep/runs/c/sparse/0/evaluations.jsonl",
    *(f"broken_off/{name}" for name in ("config.yaml", "versions.json", "costs.json", "episodes.jsonl")),
    "broken_off/evaluations.jsonl",
    "broken_off/checkpoints/step_128/manifest.json",
    "finished/config.yaml",
    "finished/model.npz",
    "finished/episodes.jsonl",
]


@pytest.mark.filterwarnings("always::UserWarning")
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        *((name, [[*CONTENTS][place % len(CONTENTS)]]) for place, name in enumerate(FILES)),
        *(pytest.param(name, [*CONTENTS], marks=pytest.mark.slow) for name in FILES),
    ],
)
def test_damage_is_named_by_every_command_and_nothing_hangs(
    folder: Path, name: str, kinds: list[str], tmp_path: Path
) -> None:
    path, kept = folder / name, shutil.copytree(folder, tmp_path / "kept")
    for kind in kinds:
        path.write_bytes(CONTENTS[kind].encode())
        said = {
            "broken_off": [("train", "--resume", folder / "broken_off")],
            "finished": [
                ("record", folder / "finished", "--out", tmp_path / "base.npz", "--steps", 8),
                ("audit", "novelty", "--env", CORRIDOR, "--run", folder / "finished", "--rollouts", 2),
            ],
            "sweep": [
                ("verify", folder / "sweep", "--runs", 0),
                ("report", folder / "sweep"),
                ("compare", folder / "sweep", folder / "sweep"),
            ],
        }[name.partition("/")[0]]
        if name.startswith("sweep"):
            with pytest.raises(RunError) if not _is_mended(name, kind) else nullcontext():
                open_workspace(folder / "sweep")
        for arguments in said:
            command(*arguments)
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)


def _is_mended(name: str, kind: str) -> bool:
    """The index is written anew from the run folders; costs and evaluations of a row that is there are not looked at."""
    return name.endswith(("results.jsonl", "versions.json", "costs.json", "evaluations.jsonl")) or (
        name.endswith("failures.jsonl") and kind == "empty"
    )


def test_a_result_that_no_index_can_hold_ends_the_sweep(folder: Path) -> None:
    path = folder / "sweep" / "runs/c/sparse/0/result.json"
    (folder / "sweep" / "results.jsonl").unlink()
    path.write_text(json.dumps({**json.loads(path.read_text()), "episodes": 1.0}))
    said = command("sweep", folder / "sweep", "--workers", 1, code=2)
    assert "runs/c/sparse/0 is damaged: episodes is 1.0" in said
    assert not (folder / "sweep" / "results.jsonl").exists()


def test_aliases_do_not_grow_a_config(folder: Path) -> None:
    def doubled(depth: int) -> str:
        return "&a0 [x, x]" if depth == 0 else f"&a{depth} [{doubled(depth - 1)}, *a{depth - 1}]"

    for path in (folder / "sweep" / "runs/c/sparse/0", folder / "broken_off"):
        text = (path / "config.yaml").read_text()
        (path / "config.yaml").write_text(text.replace("reward: null", "reward: " + doubled(30)))
    assert "config.yaml:" in command("verify", folder / "sweep", "--runs", 0, code=1)
    for arguments in (("sweep", folder / "sweep"), ("train", "--resume", folder / "broken_off")):
        assert "config.yaml" in command(*arguments, code=2)


@pytest.mark.parametrize("setting", [{"gamma": 0.5}, {"n_steps": -1}, {"batch_size": 0}, {"gamma": "x"}])
def test_a_checkpoint_has_the_settings_that_the_run_asks_for(
    folder: Path, setting: dict[str, object]
) -> None:
    saved = folder / "broken_off" / "checkpoints" / "step_128"
    with np.load(saved / "model.npz") as file:
        arrays = dict(file)
    tree = json.loads(str(arrays["tree"]))
    tree["mapping"]["attributes"]["mapping"].update(setting)
    np.savez(saved / "model.npz", **{**arrays, "tree": np.array(json.dumps(tree))})
    accept(saved)
    assert "step_128" in command("train", "--resume", folder / "broken_off", code=2)


# ---------------------------------------------------------------------- resumes that lie


@pytest.mark.filterwarnings("always::UserWarning")
def test_one_flipped_bit_costs_a_checkpoint_and_not_the_run(folder: Path) -> None:
    run = folder / "broken_off"
    path = run / "checkpoints" / "step_128" / "model.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "--checkpoint" not in command("train", "--resume", run, "--checkpoint", 128, code=2)
    assert "it has those of" in command("train", "--resume", run, "--checkpoint", 32, code=2)
    said = command("train", "--resume", run, code=0)
    assert "model.npz was changed or damaged" in said
    assert "goes on from step_96" in said
    for name in (run_folder.RESULT, "episodes.jsonl", "evaluations.jsonl"):
        assert (run / name).read_bytes() == (folder / "finished" / name).read_bytes()


@pytest.mark.parametrize("damage", ["lost", "zeroed", "cut", "edited"])
@pytest.mark.parametrize("name", ["episodes.jsonl", "evaluations.jsonl"])
def test_a_run_does_not_go_on_without_what_it_found(folder: Path, name: str, damage: str) -> None:
    path = folder / "broken_off" / name
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    path.write_bytes(
        {"zeroed": b"", "cut": content[first:], "edited": b" " + content[1:], "lost": b""}[damage]
    )
    if damage == "lost":
        path.unlink()
    said = command("train", "--resume", folder / "broken_off", code=2)
    assert f"{name} was lost, cut or changed since step_128" in said


def test_two_do_not_train_in_one_folder(folder: Path) -> None:
    with run_folder.alone(folder / "broken_off"):
        assert "Another process is at the run" in command("train", "--resume", folder / "broken_off", code=2)
    command("train", "--resume", folder / "broken_off", code=0)
    assert not (folder / "broken_off" / run_folder.LOCK).exists()


def test_what_the_machine_refuses_is_one_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "episodes.jsonl")

    monkeypatch.setattr(metrics, "append_rows", full)
    with pytest.raises(
        RunError, match=r"broken_off cannot go on: No space left on device \(episodes.jsonl\)"
    ):
        train(RunConfig.from_folder(folder / "broken_off"), folder / "broken_off", resume=True)
    monkeypatch.undo()

    def gone(step: int, _: object) -> None:
        shutil.rmtree(folder / "broken_off")

    with pytest.raises(RunError, match="cannot go on: No such file"):
        train(RunConfig.from_folder(folder / "broken_off"), folder / "broken_off", resume=True, progress=gone)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 10**30),
        ("eval_episodes", 10**12),
        ("settings", {"num_envs": 10**8}),
        ("settings", {"batch_size": 10**13}),
    ],
)
def test_a_request_for_what_never_ends_is_refused(folder: Path, key: str, value: object) -> None:
    path = folder / "broken_off" / run_folder.CONFIG
    config = yaml.safe_load(path.read_text())
    config[key] = {**config[key], **value} if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(config))
    assert "at most" in command("train", "--resume", folder / "broken_off", code=2)


@pytest.mark.parametrize("refused", ["os.mkdir", "os.open", "os.rename", "os.unlink"])
def test_a_folder_without_rights_is_one_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    kept, mine = attrgetter(refused.partition(".")[2])(os), str(folder)

    def without_rights(path: object, *others: Any, **options: Any) -> Any:
        writes = refused != "os.open" or others[0] & (os.O_WRONLY | os.O_RDWR)
        if writes and str(path).startswith(mine):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return kept(path, *others, **options)

    monkeypatch.setattr(refused, without_rights)
    asked = (
        ("train", CORRIDOR, "--steps", 32, "--out", folder / "new" / "run"),
        ("train", "--resume", folder / "broken_off"),
        ("sweep", folder / "sweep"),
        ("report", folder / "sweep"),
        ("record", folder / "finished", "--steps", 8, "--out", folder / "base.npz"),
    )
    said = [command(*each) for each in asked]
    assert not [each for each in said if "Traceback" in each]
    assert [each for each in said if "Permission denied" in each]
