"""What every test runs under: no display, one thread for small networks, and examples that repeat."""

import os
import tempfile

# Set before NumPy or torch is imported, which is when they are read.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["COLUMNS"] = "160"  # what commands print is not folded in the middle of a temporary path

import pytest
from hypothesis import HealthCheck, settings

# The first example of a test may compile a kernel, so time limits would say nothing about the code.
settings.register_profile(
    "shapegym", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)
# For looking further than the suite does: pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("shapegym")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite in two processes: `pytest` without a path. With a path, or with `-n 0`, one is quicker to start."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    worker = "PYTEST_XDIST_WORKER" in os.environ  # workers come here too, and have none of their own
    if whole and not worker and config.getoption("numprocesses", 0) is None and not config.option.usepdb:
        config.option.numprocesses, config.option.dist = 2, "worksteal"


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_in_one_place(tmp_path_factory):
    """Stable-Baselines3 makes a folder for every logger; pytest clears what lies here after some sessions."""
    tempfile.tempdir = str(tmp_path_factory.mktemp("tmp"))
    yield
    tempfile.tempdir = None
