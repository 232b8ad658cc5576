"""The names of the package: few, cheap until used, and whoever asks for another gets it from where it lives."""

import subprocess
import sys
from importlib import import_module

import pytest

import shapegym

EAGER = (
    "import sys, shapegym; sys.exit(bool({'torch', 'stable_baselines3', 'sb3_contrib'} & set(sys.modules)))"
)


def test_every_name_is_there_and_they_are_few():
    assert all(hasattr(shapegym, name) for name in shapegym.__all__)
    assert dir(shapegym) == sorted(shapegym.__all__)
    assert len(shapegym.__all__) <= 25


def test_importing_the_package_imports_no_learning_library():
    assert subprocess.run([sys.executable, "-c", EAGER], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("Milestones", "shapegym.shaping.Milestones"),
        ("ShapedVectorEnv", "shapegym.shaping.surfaces.vector_env.ShapedVectorEnv"),
        ("engine_of", "shapegym.shaping.surfaces.wiring.engine_of"),
        ("save_checkpoint", "shapegym.agents.save_checkpoint"),
        ("sweep", "shapegym.experiments.sweep"),
    ],
)
def test_a_name_that_lives_elsewhere_is_had_from_there(name, home):
    room, _, _ = home.rpartition(".")
    assert getattr(shapegym, name) is getattr(import_module(room), name)
    assert name not in dir(shapegym)


def test_a_name_that_is_nowhere_is_just_missing():
    with pytest.raises(AttributeError, match=r"^module 'shapegym' has no attribute 'Milestone'$"):
        _ = shapegym.Milestone


def test_where_a_name_is_said_to_live_it_lives():
    for room, name in ((room, name) for name, room in shapegym._SURFACES.items()):
        module = __import__(f"shapegym.{room}", fromlist=[name])
        assert getattr(module, name).__module__ == module.__name__
