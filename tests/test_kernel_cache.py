"""The cache of compiled kernels: on machines that refuse to keep it, and when somebody damaged it."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from numba.core import caching, config

from shapegym import kernel_cache

SOURCE = """
from shapegym.kernel_cache import compiled

def double(x):
    return x + x

double = compiled(double, error_model="numpy")
"""


def kernel(folder: Path):
    """Return the kernel of a module, as a new process has it: uncompiled."""
    path = folder / "kernels.py"
    if not path.exists():
        path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("kernels_of_a_test", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kernels_of_a_test"] = module
    spec.loader.exec_module(module)
    return module.double


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    """Only the folder that the user names can be written, and nothing was said yet."""
    monkeypatch.setattr(
        caching.CompileResultCacheImpl, "_locator_classes", [caching.UserProvidedCacheLocator]
    )
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    kernel_cache._say.cache_clear()
    kernel_cache._move_to_temporary_folder.cache_clear()
    yield
    kernel_cache._move_to_temporary_folder.cache_clear()


def test_kernels_are_compiled_once(tmp_path, caplog):
    for hits in (0, 1):
        double = kernel(tmp_path)
        assert double(2) == 4
        assert sum(double.stats.cache_hits.values()) == hits
    assert not caplog.messages


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "damage", [lambda content: content[:40], lambda content: b"", lambda content: b"garbage" * 99]
)
def test_a_damaged_cache_is_made_anew(tmp_path, caplog, ending, damage):
    kernel(tmp_path)(2)
    (entry,) = tmp_path.glob(f"cache/*/*.{ending}")
    entry.write_bytes(damage(entry.read_bytes()))
    assert kernel(tmp_path)(2) == 4
    assert len(caplog.messages) == 1
    assert "damaged" in caplog.messages[0]
    again = kernel(tmp_path)
    assert again(2) == 4
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_flipped_bit_in_machine_code_is_noticed(tmp_path, caplog):
    kernel(tmp_path)(2)
    (entry,) = tmp_path.glob("cache/*/*.nbc")
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 1
    entry.write_bytes(content)
    assert kernel(tmp_path)(2) == 4
    assert "damaged" in caplog.messages[0]


def test_without_a_folder_kernels_live_in_a_private_one(tmp_path, caplog, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    double = kernel(tmp_path)
    assert double(2) == 4
    assert len(caplog.messages) == 1
    folder = Path(os.environ["NUMBA_CACHE_DIR"])  # so that workers find it
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o77 == 0
    assert [*folder.rglob("*.nbc")]
    kernel_cache._remove(str(folder), os.getpid())
    assert not folder.exists()


def test_without_any_folder_kernels_are_compiled_in_every_process(tmp_path, caplog, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    assert kernel(tmp_path)(2) == 4
    assert "in every process" in caplog.messages[0]


def test_a_full_disk_stops_no_kernel(tmp_path, caplog, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_data", full)
    assert kernel(tmp_path)(2) == 4
    assert "cannot be kept" in caplog.messages[0]
