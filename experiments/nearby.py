"""What Python files of the current folder seem to define, found by reading their text: nothing of them is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_MOST_FILES = 500
_LARGEST = 1_000_000  # bytes; nobody writes more by hand
_REGISTERED = re.compile(r"""\bregister\w*\(\s*(?:id\s*=\s*)?["']([\w./-]+)["']""")
_DEFINED = re.compile(r"^(?:class|def)\s+(\w+)", re.MULTILINE)


def environments() -> dict[str, str]:
    """Return the ids that files of the current folder register -> the module, for ``module:id``."""
    return {env_id: module for module, text in _sources() for env_id in _REGISTERED.findall(text)}


def definitions() -> dict[str, str]:
    """Return the classes and functions at the top of files of the current folder -> the module, for ``--import``."""
    return {name: module for module, text in _sources() for name in _DEFINED.findall(text)}


def _sources() -> Iterator[tuple[str, str]]:
    """The modules of the current folder and of the packages in it, one level deep, with their text."""
    here = Path()
    for path in islice((*sorted(here.glob("*.py")), *sorted(here.glob("*/*.py"))), _MOST_FILES):
        *package, name = path.with_suffix("").parts
        if package and not (here / package[0] / "__init__.py").is_file():
            continue
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST:
                module = ".".join(package if name == "__init__" else [*package, name])
                yield module, path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # somebody else's
            continue
