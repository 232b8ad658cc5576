"""Parts of other people: a package with one of each, used from files, commands, sweeps and the interface, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import gymnasium as gym
import minigrid  # noqa: F401  (registers its tasks when it is first imported; that is not for a test to undo)
import pytest
import yaml
from typer.testing import CliRunner

from shapegym.agents.algorithms import registry
from shapegym.agents.algorithms.registry import algorithm_of, algorithms
from shapegym.agents.errors import SettingsError
from shapegym.experiments import (
    RunConfig,
    RunError,
    load_suite,
    register_study,
    register_suite,
    report,
    sweep,
    train,
)
from shapegym.experiments.cli import app
from shapegym.experiments.named import require_env
from shapegym.experiments.runs import run_folder
from shapegym.experiments.studies import index
from shapegym.experiments.sweeps import local_pool, ready
from shapegym.experiments.sweeps.loop import attempt
from shapegym.experiments.sweeps.plan import Job, Plan
from shapegym.experiments.sweeps.workspace import open_workspace, read_plan
from shapegym.shaping import discovery
from shapegym.shaping.discovery import PluginWarning, import_modules, load_plugins
from shapegym.shaping.errors import PluginError, RewardFileError
from shapegym.shaping.files.reward_files import dump_reward, from_data, load_reward, read_reward
from shapegym.shaping.files.schema import know_all_nodes
from shapegym.shaping.states import functions
from shapegym.shaping.testing.compliance import check_expression, check_model
from shapegym.shaping.types import NODES

PACKAGE = {
    "__init__.py": """
        from importlib.resources import files

        from shapegym.experiments import register_study, register_suite
        from stranger import algorithm, combinator, height, model, term, walk

        register_suite(files(__name__) / "strange.yaml")
        register_study("stranger.it_is_strange")
        """,
    "term.py": """
        from dataclasses import dataclass
        from typing import ClassVar

        import numpy as np

        from shapegym.shaping.limits import Positive
        from shapegym.shaping.types import Example, Term
        from shapegym.shaping.promises import Replay


        @dataclass(frozen=True)
        class Streak(Term):
            '''``size`` for every step that the episode has lasted.'''

            size: Positive = 0.01
            replay: ClassVar[Replay] = Replay.STAMP

            @classmethod
            def examples(cls):
                return (Example(cls(0.5)),)

            def init(self, spec):
                return {"steps": np.zeros(spec.num_lanes)}

            def observe(self, transitions, state):
                begun = state["steps"] * ~transitions.first + 1
                state["steps"][:] = np.where(transitions.active, begun, state["steps"])

            def measure(self, transitions, state):
                return self.size * state["steps"]
        """,
    "combinator.py": """
        from dataclasses import dataclass

        from shapegym.shaping.types import Combinator, Expression


        @dataclass(frozen=True)
        class Half(Combinator):
            '''Half of it.'''

            of: Expression

            def combine(self, values):
                return 0.5 * values[0]
        """,
    "model.py": """
        from dataclasses import dataclass
        from typing import ClassVar

        from shapegym.shaping.limits import Count
        from shapegym.shaping.networks import Networks, as_tensor, perceptron, read_rows
        from shapegym.shaping.states.select import width_for_network
        from shapegym.shaping.types import Model


        @dataclass(frozen=True)
        class Tiny(Model):
            '''``guess`` (B, 1): a network that learns to say 0.'''

            width: Count = 4
            outputs: ClassVar[tuple[str, ...]] = ("guess",)

            def init(self, spec):
                width = width_for_network("Tiny", ("obs",), spec)
                make = {"net": lambda: perceptron(width, self.width, 1)}
                return Networks(make, self, spec, learning_rate=1e-3)

            def evaluate(self, transitions, memory):
                return {"guess": memory.evaluate("net", read_rows(("obs",), transitions.next_obs, {}))}

            def fit(self, experience, memory):
                rows = experience.rows()
                x = as_tensor(read_rows(("obs",), rows.next_obs, {}))
                for chosen in memory.minibatches(len(x), 64):
                    memory.descend(memory["net"](x[chosen]).square().mean())
                return {}
        """,
    "height.py": """
        import numpy as np

        from shapegym import state_function


        @state_function
        def strange_height(obs, features):
            return np.asarray(obs, dtype=np.float64).reshape(len(obs), -1)[:, 0]
        """,
    "algorithm.py": """
        from stable_baselines3 import PPO

        from shapegym.agents import register_algorithm


        class QuietPPO(PPO):
            '''PPO with little to do.'''


        tiny = {"num_envs": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"net_arch": [4]}}
        register_algorithm(QuietPPO, settings={"*": tiny})
        """,
    "walk.py": """
        import gymnasium as gym
        import numpy as np


        class Walk(gym.Env):
            '''Ten steps to the right.'''

            observation_space = gym.spaces.Box(-20, 20, (1,))
            action_space = gym.spaces.Discrete(2)

            def reset(self, *, seed=None, options=None):
                super().reset(seed=seed)
                self.place = 0
                return np.array([self.place], dtype=np.float32), {}

            def step(self, action):
                self.place += 2 * int(action) - 1
                there = self.place == 10
                return np.array([self.place], dtype=np.float32), float(there), there, False, {}


        gym.register("Stranger/Walk-v0", entry_point=Walk, max_episode_steps=20)
        """,
    "it_is_strange.py": """
        '''Strange is strange.'''

        from shapegym.experiments.studies.claims import Claim, Findings

        SEEDS = 1


        def run(request):
            return Findings(claims=(Claim("it is", True, "so"),), tables=(), notes=())
        """,
    "strange.yaml": """
        title: Strange things compared
        imports: [stranger]
        seeds: 2
        algo: QuietPPO
        eval: {points: 1, episodes: 2}
        rewards:
          sparse: null
          strange: {sum: [task_reward, {half: {of: streak}}]}
        tasks:
          walk: {env: Stranger/Walk-v0, steps: 64}
        """,
}

REWARD = """
imports: [stranger]
reward:
  sum:
    - task_reward
    - half: {of: {streak: {size: 0.02}}}
    - potential: {phi: strange_height, gamma: 0.99}
    - scale: {by: 0.01, of: {model_output: {model: {tiny: {width: 3}}}}}
"""

SEA = ["shapegym/DeepSea-v0", "--env-arg", "size=5", "--steps", "128", "--checkpoint-every", "32"]

GOES_ON = """
from typer.testing import CliRunner
from shapegym.experiments.cli import app
for imports, code in (([], 2), (["stranger", "json"], 2), (["stranger"], 0)):
    options = [part for name in imports for part in ("--import", name)]
    done = CliRunner().invoke(app, ["train", "--resume", "cut", *options], env={"COLUMNS": "200"})
    print(done.output)
    assert done.exit_code == code
"""


def write_package(folder: Path, files: dict[str, str] = PACKAGE, name: str = "stranger") -> None:
    (folder / name).mkdir()
    for file, text in files.items():
        (folder / name / file).write_text(dedent(text).lstrip())


def install(folder: Path, name: str, module: str) -> None:
    """What pip leaves of an installed package beside its code."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{discovery.GROUP}]\n{name} = {module}\n")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What a test imports, no other test knows."""
    know_all_nodes()
    algorithms()
    tables = (
        NODES,
        functions.STATE_FUNCTIONS,
        functions._CALLABLES,
        registry._registered,
        ready._registered,
        index._registered,
        gym.registry,
    )
    before, modules = [dict(table) for table in tables], set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("stranger", "twin", "broken", "lonely"):
            del sys.modules[name]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder with the package and a reward file, which is the current one; nothing of it is importable yet."""
    write_package(tmp_path)
    (tmp_path / "reward.yaml").write_text(REWARD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def importable(package, monkeypatch):
    """The same, and Python finds the package; processes too."""
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]))
    return package


class Here:
    """Runs jobs in this process."""

    def __init__(self, workers=None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, jobs, folder, on_event):
        for each in jobs:
            on_event(attempt(each, folder, on_event))


def shapegym(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def in_a_new_process(*arguments: str, path: Path | None = None, code: int = 0) -> str:
    env = dict(os.environ)
    if path is not None:
        env["PYTHONPATH"] = os.pathsep.join([str(path), env.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-P", *arguments], env=env, timeout=120, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


# ---------------------------------------------------------------------- what works


def test_one_file_each_and_the_compliance_suite_takes_it(importable):
    expression = load_reward("reward.yaml")
    check_expression(expression, "Stranger/Walk-v0", lanes=2, steps=24)
    check_model(NODES["tiny"](), "Stranger/Walk-v0", lanes=2, steps=24)
    dump_reward(expression, "again.yaml")
    again = read_reward("again.yaml")
    assert again.expression == expression
    assert set(again.imports) == {"stranger.term", "stranger.combinator", "stranger.height", "stranger.model"}


def test_commands_look_up_what_was_imported(package):
    assert "There is no node 'streak'" in shapegym("terms", "streak", code=2)
    assert "for every step" in shapegym("terms", "streak", "--import", "stranger")
    assert "It fits Stranger/Walk-v0" in shapegym(
        "check", "reward.yaml", "--env", "Stranger/Walk-v0", "--import", "stranger"
    )
    assert "random" in shapegym(
        *("audit", "reward.yaml", "--env", "Stranger/Walk-v0", "--rollouts", "4", "--import", "stranger"),
        code=3,  # recorded, so nothing is proved
    )
    assert "Ten steps to the right" in shapegym("envs", "stranger", "--import", "stranger")
    assert "Stranger/Walk-v0" in shapegym("envs", "walk", "--import", "stranger")
    assert "Strange things compared" in shapegym("suites", "--import", "stranger")
    assert "2 runs" not in shapegym("suites", "strange", "--import", "stranger")
    assert "Strange is strange." in shapegym("study", "--import", "stranger")
    assert "holds: it is (so)" in shapegym("study", "it-is-strange", "--import", "stranger")


def test_a_run_says_what_it_imports_and_goes_on_in_another_process(package):
    """Interrupted at a checkpoint and continued where nothing is imported yet, it ends as if nothing had happened."""
    arguments = ["train", *SEA, "--algo", "quietppo", "--reward", "reward.yaml", "--import", "stranger"]
    shapegym(*arguments, "--out", "whole")
    config = RunConfig.from_folder(Path("whole"))
    assert config.imports == ("stranger",)
    assert yaml.safe_load(Path("whole/config.yaml").read_text())["imports"] == ["stranger"]

    def interrupt(step: int, _: object) -> None:
        if step > 80:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, Path("cut"), progress=interrupt)
    said = in_a_new_process("-c", GOES_ON)
    assert "cut asks to import the module 'stranger', which would run its code." in said
    assert "cut goes on as it was asked for, which is without json: leave out --import json" in said
    assert "Traceback" not in said
    for name in (run_folder.RESULT, "episodes.jsonl", run_folder.CONFIG):
        assert Path("whole", name).read_bytes() == Path("cut", name).read_bytes()


def test_a_sweep_in_two_processes_goes_on_and_is_verified(package):
    """By the name that the package registers; workers find it in the current folder too."""
    text = shapegym("sweep", "strange", "--workers", "2", "--out", "swept", "--import", "stranger")
    assert "failed" not in text
    plan = read_plan(Path("swept"))
    assert len(plan.jobs) == 4
    assert all(job.config.imports == ("stranger",) for job in plan.jobs)
    Path("swept/runs/walk/strange/1/result.json").unlink()
    Path("swept/results.jsonl").unlink()
    again = shapegym("sweep", "swept", "--workers", "1", "--import", "stranger")
    assert "Report: shapegym report swept" in again
    assert "is without os: leave out --import os" in shapegym("sweep", "swept", "--import", "os", code=2)
    page = shapegym("report", "swept", "--import", "stranger")
    assert "--import stranger" in Path("swept/report.html").read_text()
    assert "report.html" in page
    assert "equal to the bit" in shapegym("verify", "swept", "--import", "stranger")


def test_a_suite_from_python_gives_each_reward_its_imports(importable, monkeypatch):
    suite = {
        "title": "Strange and not",
        "seeds": 1,
        "settings": {"num_envs": 2, "n_steps": 16, "batch_size": 32, "n_epochs": 1},
        "eval": {"points": 1, "episodes": 1},
        "rewards": {
            "sparse": None,
            "file": str(importable / "reward.yaml"),
            "inline": {"imports": ["stranger.term"], "reward": {"sum": ["task_reward", "streak"]}},
        },
        "tasks": {"corridor": {"env": "shapegym/Corridor-v0", "steps": 32}},
    }
    loaded = load_suite(suite)
    imports = {job.strategy: job.config.imports for job in loaded.plan().jobs}
    assert imports == {"sparse": (), "file": ("stranger",), "inline": ("stranger.term",)}
    written = json.loads(json.dumps(loaded.as_source()))
    assert load_suite(written).plan() == load_suite(loaded).plan() == loaded.plan()
    assert from_data(loaded.strategies("corridor")["inline"]).of[1] == NODES["streak"]()

    monkeypatch.setattr(local_pool, "LocalPool", Here)
    found = sweep(suite, "from_python", only="file", imports=["stranger.walk"])
    assert found.failures == {}
    assert read_plan(found.folder).jobs[0].config.imports == ("stranger.walk", "stranger")
    assert report(found.folder).exists()


def test_a_request_without_imports_is_written_as_ever():
    config = RunConfig("shapegym/Corridor-v0", 64)
    assert "imports" not in config.as_data()
    assert RunConfig("shapegym/Corridor-v0", 64, imports=["a", "b", "a"]).imports == ("a", "b")
    with pytest.raises(RunError, match=r"imports must be a tuple of texts, got 'stranger'"):
        RunConfig("shapegym/Corridor-v0", 64, imports="stranger")


USES_ALL = """
import warnings
warnings.simplefilter("error")
import shapegym, gymnasium
from shapegym.agents.environments import make_env
from shapegym.agents.algorithms.registry import algorithm_of
from shapegym.experiments import load_suite
from shapegym.experiments.studies.index import load_study
from shapegym.shaping.files.reward_files import from_data
print(from_data({"half": {"of": {"potential": {"phi": "strange_height"}}}}))
print(from_data({"model_output": {"model": "tiny"}}))
print(algorithm_of("QuietPPO").name, make_env("Stranger/Walk-v0").spec.id)
print(load_suite("strange").title, load_study("it-is-strange").claim)
"""


def test_what_is_installed_is_known_without_being_named(package):
    """By entry points: no import anywhere."""
    install(package, "stranger", "stranger")
    said = in_a_new_process("-c", USES_ALL, path=package)
    assert "Half(Potential(" in said
    assert "ModelOutput(Tiny()" in said
    assert "QuietPPO Stranger/Walk-v0 Strange things compared Strange is strange." in said


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: algorithm_of("QuietPPO"),
        lambda: require_env("Stranger/Walk-v0"),
        lambda: load_suite("strange"),
        lambda: index.load_study("it-is-strange"),
        lambda: functions.as_state_function("strange_height"),
        lambda: from_data("streak"),
    ],
)
def test_each_lookup_alone_loads_what_is_installed(package, monkeypatch, look_up):
    install(package, "stranger", "stranger")
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr(discovery, "_failures", None)
    look_up()


# ---------------------------------------------------------------------- what does not


def test_plugins_that_fail_are_named_and_the_rest_works(package):
    write_package(package, {"__init__.py": "raise ValueError('out of order')"}, "broken")
    write_package(package, {"__init__.py": "from twin import term", "term.py": PACKAGE["term.py"]}, "twin")
    for name in ("broken", "stranger", "twin"):
        install(package, name, name)
    said = in_a_new_process("-m", "shapegym", "terms", "streak", path=package)
    assert "Warning: The plugin 'broken' (broken) cannot be loaded, so what it defines is not known:" in said
    assert "ValueError: out of order." in said
    assert "ExpressionError: stranger.term.Streak and twin.term.Streak are both called 'streak'" in said
    assert "Traceback" not in said
    assert "for every step" in said


def test_a_plugin_is_tried_once_and_warned_about_once(package, monkeypatch):
    write_package(package, {"__init__.py": "import sys; sys.exit('no')"}, "broken")
    install(package, "broken", "broken")
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr(discovery, "_failures", None)
    with pytest.warns(PluginWarning, match="'broken'") as warned:
        failed = load_plugins()
    assert (failed, load_plugins()) == ({"broken": "SystemExit: no."},) * 2
    assert len(warned) == 1


def test_names_that_are_taken_say_by_whom(importable):
    twin = {
        "term.py": PACKAGE["term.py"],
        "height.py": PACKAGE["height.py"].replace("[:, 0]", "[:, -1]"),
        "algorithm.py": PACKAGE["algorithm.py"],
        "strange.yaml": PACKAGE["strange.yaml"],
        "it_is_strange.py": PACKAGE["it_is_strange.py"],
    }
    write_package(importable, {"__init__.py": "", **twin}, "twin")
    import_modules(["stranger"], "A test")
    for module, message in {
        "term": r"stranger\.term\.Streak and twin\.term\.Streak are both called 'streak'",
        "height": r"'strange_height' is registered already, in stranger\.height; rename yours, in twin\.height",
        "algorithm": r"Two algorithms are called 'QuietPPO': in stranger\.algorithm and in twin\.algorithm",
    }.items():
        with pytest.raises(PluginError, match=message):
            import_modules([f"twin.{module}"], "A test")
    with pytest.raises(RunError, match=r"Two suites are called 'strange': .*stranger.* and .*twin"):
        register_suite(importable / "twin" / "strange.yaml")
    (importable / "hack.yaml").write_text("")
    with pytest.raises(RunError, match=r"Two suites are called 'hack'"):
        register_suite(importable / "hack.yaml")
    with pytest.raises(RunError, match=r"A suite is a \.yaml file, and .*nowhere\.yaml is none"):
        register_suite("nowhere.yaml")
    with pytest.raises(
        RunError, match=r"Two studies are called 'it-is-strange': stranger\.\w+ and twin\.\w+"
    ):
        register_study("twin.it_is_strange")
    register_study("stranger.it_is_strange")
    register_suite(importable / "stranger" / "strange.yaml")
    register_study("stranger.term")
    with pytest.raises(RunError, match=r"stranger\.term is no study: it lacks __doc__ and SEEDS and run"):
        index.load_study("term")


@pytest.mark.parametrize(
    ("imports", "error", "message"),
    [
        ("rewards/mine.py", RewardFileError, "bad.yaml:1:1: imports: must be a list"),
        (
            "[rewards/mine.py]",
            PluginError,
            "bad.yaml names the module 'rewards/mine.py', which is no name of a",
        ),
        ("[mine.py]", PluginError, "Paths are not imported: install the package"),
        ("[3]", RewardFileError, r"imports\[0\]"),
        ("[not_there.rewards]", PluginError, "but: No module named 'not_there'.*PYTHONPATH.*pip install"),
        (
            "[lonely]",
            PluginError,
            "'lonely', which fails when it is imported: ZeroDivisionError: division by",
        ),
        ("[lonely.missing]", PluginError, "'lonely.missing', which fails .* No module named 'absent'"),
    ],
)
def test_imports_that_are_wrong_are_explained_wherever_they_stand(importable, imports, error, message):
    write_package(importable, {"__init__.py": "", "missing.py": "import absent"}, "lonely")
    if imports == "[lonely]":
        (importable / "lonely" / "__init__.py").write_text("1 / 0")
    Path("bad.yaml").write_text(f"imports: {imports}\nreward: task_reward\n")
    with pytest.raises(error, match=message):
        load_reward("bad.yaml")
    suite = {"imports": yaml.safe_load(imports), "title": "Bad", "seeds": 1}
    tasks = {"corridor": {"env": "shapegym/Corridor-v0", "steps": 32, "rewards": {"sparse": None}}}
    Path("suite.yaml").write_text(yaml.safe_dump({**suite, "tasks": tasks}, sort_keys=False))
    with pytest.raises(RunError, match=r"suite\.yaml:\d+:\d+: imports"):
        load_suite("suite.yaml")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("not_there", "Error: --import names the module 'not_there', but: No module named 'not_there'."),
        ("stranger/term.py", "names the module 'stranger/term.py', which is no name of a module"),
        ("term.py", "which is no name of a module"),
        ("lonely", "which fails when it is imported: RuntimeError: first line."),
    ],
)
@pytest.mark.parametrize("command", [["terms"], ["sweep", "hack"], ["suites"], ["report", "nowhere"]])
def test_a_module_that_cannot_be_imported_ends_a_command_at_once(package, command, module, message):
    write_package(package, {"__init__.py": "raise RuntimeError('first line\\nsecond line')"}, "lonely")
    text = shapegym(*command, "--import", module, code=2)
    assert message in text
    assert "Traceback" not in text
    assert "second line" not in text


def test_a_sweep_without_its_modules_does_not_go_on(tmp_path, monkeypatch):
    """One error, not one for each run."""
    job = Job("a", "b", RunConfig("shapegym/Corridor-v0", 32, imports=["not_there"]))
    open_workspace(tmp_path / "sweep", Plan("lost", "Lost", (job,)))
    monkeypatch.setattr(local_pool, "LocalPool", Here)
    with pytest.raises(
        PluginError, match=r"sweep asks to import the module 'not_there', .* --import not_there"
    ):
        sweep(tmp_path / "sweep")


def test_unknown_names_say_how_to_import(package):
    how = "--import MODULE"
    assert how in shapegym("terms", "strek", code=2)
    assert how in shapegym("suites", "strnge", code=2)
    assert how in shapegym("study", "is-it", code=2)
    with pytest.raises(RunError, match=rf"MODULE:ID in place of its id, or {how}"):
        require_env("Stranger/Walk-v0")
    with pytest.raises(SettingsError, match=how):
        algorithm_of("QuietPPO")
    with pytest.raises(RewardFileError, match=how):
        from_data({"potential": {"phi": "strange_height"}})
    with pytest.raises(
        PluginError, match="The environment 'nowhere:Walk-v0' names the module 'nowhere', but"
    ):
        require_env("nowhere:Walk-v0")
