"""The wheel holds what the folders hold, and the configuration files agree with each other."""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def read_config(name: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(REPOSITORY / name)
    return config


def entries(config: configparser.ConfigParser, section: str, option: str) -> list[str]:
    return config[section][option].split()


SETUP = read_config("setup.cfg")
# {"shapegym.envs": "envs", ...}
FOLDER_OF = dict(
    re.split(r"\s*=\s*", line, maxsplit=1) for line in SETUP["options"]["package_dir"].strip().splitlines()
)


def files_of(folder: Path) -> set[str]:
    """What is shipped: all of a folder but the rows of long studies, which the documentation shows."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", "results"} & set(path.parts)
    }


def test_every_folder_with_an_init_is_a_listed_package() -> None:
    found = {
        ".".join((package, *init.parent.relative_to(REPOSITORY / folder).parts))
        for package, folder in FOLDER_OF.items()
        for init in (REPOSITORY / folder).rglob("__init__.py")
    }
    assert found == set(entries(SETUP, "options", "packages"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that neither the checkout nor a stale build folder takes part."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for folder in FOLDER_OF.values():
        shutil.copytree(REPOSITORY / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    result = subprocess.run(build, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(target.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    expected = {
        f"{package.replace('.', '/')}/{name}"
        for package, folder in FOLDER_OF.items()
        for name in files_of(REPOSITORY / folder)
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected


def test_type_checking_sees_every_folder() -> None:
    links = REPOSITORY / ".typing" / "shapegym"
    for package, folder in FOLDER_OF.items():
        if package != "shapegym":
            assert (links / folder).resolve() == REPOSITORY / folder
    names = files_of(REPOSITORY / "shapegym")
    assert {path.name for path in links.iterdir() if path.is_file()} == names
    # An editor that writes through a link leaves a copy, which goes stale.
    assert [name for name in names if (links / name).resolve() != REPOSITORY / "shapegym" / name] == []


def test_kernels_are_forbidden_every_dependency_but_numpy_and_numba() -> None:
    forbidden = entries(read_config(".importlinter"), "importlinter:contract:kernels", "forbidden_modules")
    required = {re.split(r"[<>=]", entry)[0] for entry in entries(SETUP, "options", "install_requires")}
    module_of = {"pillow": "PIL", "pyyaml": "yaml"}
    modules = {module_of.get(name, name.replace("-", "_")) for name in required}
    assert modules - {"numpy", "numba"} == set(forbidden) - {"shapegym.shaping.*"}


def test_every_dependency_is_pinned() -> None:
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    required = entries(SETUP, "options", "install_requires") + entries(
        SETUP, "options.extras_require", "test"
    )
    assert {re.split(r"[<>=]", entry)[0].lower() for entry in required} <= pins
