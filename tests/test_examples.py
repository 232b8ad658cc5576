"""The files in examples/: short, and true. Each is run with a small budget, and its nodes keep the contract on every surface."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from shapegym.shaping.testing import check_expression, check_model
from shapegym.shaping.types import NODES, Example

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LANES = (1, 3, 16)


def module_at(path: Path) -> ModuleType:
    name = f"_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def example():
    """What an example defines; its nodes join no suite that runs over every registered node."""
    before, loaded = dict(NODES), {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            loaded[name] = module_at(ROOT / "examples" / f"{name}.py")
        return loaded[name]

    yield load
    NODES.clear()
    NODES.update(before)


@pytest.fixture(scope="module")
def on_gymnasium():
    return module_at(ROOT / "tests" / "lockstep" / "test_lockstep.py")


@pytest.fixture(scope="module")
def on_sb3():
    return module_at(ROOT / "tests" / "lockstep" / "test_lockstep_sb3.py")


def test_there_are_five_short_ones_that_say_how_to_run_them():
    assert len(EXAMPLES) == 5
    for path in EXAMPLES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 60
        assert f"Run it: python examples/{path.name}\n" in text.split('"""')[1]


# ---------------------------------------------------------------- they run


@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # a rollout of a small budget is no multiple of the batch size
def test_an_environment_of_ones_own_is_trained_on(example, capsys):
    example("own_environment").main(steps=256, episodes=10)
    assert capsys.readouterr().out.count("of the episodes end with a watered plant") == 2


def test_progress_is_paid_once(example, capsys):
    earned = example("term_with_memory").main(steps=6)
    assert earned == [0.125, 0, 0, 0, 0, 0]
    assert "progress, paid once" in capsys.readouterr().out


def test_a_predictor_is_trained_with(example, capsys):
    example("predictor").main("shapegym/Corridor-v0", steps=256)
    assert capsys.readouterr().out.startswith("success: ")


def test_a_sweep_ends_in_a_report(example, tmp_path, capsys):
    page = example("sweep").main(tmp_path / "sweep", steps=1_024, seeds=1, workers=1)
    assert page.is_file()
    said = capsys.readouterr().out
    assert "3 of 3 runs are finished" in said
    assert said.count("area under the success curve") == 2


def test_an_audit_tells_the_bonus_from_the_potential(example, capsys):
    assert example("audit").main() == {"pays for arrows": False, "pays for progress": True}
    assert "Exploit: a loop of 2 steps" in capsys.readouterr().out


# ---------------------------------------------------------------- and keep the contract, on every surface


@pytest.fixture(params=["a term with memory", "a model that learns"])
def shown(request, example):
    if request.param == "a model that learns":
        predictor = example("predictor")
        (small,) = predictor.Predictor.examples()
        return Example(predictor.sg.normalize(predictor.ModelOutput(small.node)))
    return example("term_with_memory").Record.examples()[0]


def test_nodes_keep_the_contract(shown):
    check_expression(shown.node)


def test_the_model_keeps_the_contract_of_models(example):
    for one in example("predictor").Predictor.examples():
        check_model(one.node)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    "surface", ["gym", "vector-next_step", "vector-same_step", "vector-disabled", "parallel"]
)
def test_gymnasium_and_pettingzoo_pay_what_the_engine_says(on_gymnasium, shown, surface, lanes):
    how = on_gymnasium.SURFACES[surface]
    if not (how.single and lanes > 1):
        on_gymnasium.test_a_surface_pays_what_the_engine_says(how, lanes, shown)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    "check",
    [
        "test_the_vec_env_pays_at_each_step",
        "test_rollout_buffers_pay_each_rollout",
        "test_replay_buffers_pay_with_the_hindsight_of_whole_episodes",
    ],
)
def test_stable_baselines3_pays_what_the_engine_says(on_sb3, shown, check, lanes):
    getattr(on_sb3, check)(shown, lanes)
