"""What strangers do to files: structure first (a key, an array, a link), then bytes. Everything follows from the generator.

A mutation that writes code or leads out of the folder does so into the canaries of `Canaries`, which are looked at afterwards.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

DEEP, LONG, ALIASES, TAGGED = "@deep@", "@long@", "@aliases@", "@tagged@"
"""Stand for what no encoder writes."""


@dataclass(frozen=True)
class Canaries:
    """Places that no reader may touch.

    Attributes:
        code: a file that planted code makes.
        outside: a folder with files, beside the one that is read.
    """

    code: Path
    outside: Path

    @classmethod
    def inside(cls, folder: Path) -> Canaries:
        """Make them in a folder, with a module whose import is noticed."""
        found = cls(folder / "code", folder / "outside")
        shutil.rmtree(found.outside, ignore_errors=True)
        (found.outside / "nested").mkdir(parents=True)
        (found.outside / "nested" / "precious.txt").write_text("precious")
        (found.outside / "rows.jsonl").write_text('{"step": 1}\n')
        (folder / "planted_module.py").write_text(f"open({str(found.code)!r}, 'w').close()\n")
        return found

    def seen(self) -> list[tuple[str, bytes, int]]:
        """Return what is outside, to compare."""
        files = sorted(
            path for path in folder.rglob("*") if _is_plain(path) and path.suffix not in (".lock", ".md")
        )

    if not files:
        return "nothing is left"
    path = rng.choice(files)
    chance = rng.random()
    if chance < 0.75:
        done = mutate_file(path, rng, canaries)
    elif chance < 0.9:
        done = replace_file(path, rng, canaries)
    else:
        target = rng.choice([*files, folder / "other"])
        path.rename(target)
        done = f"{path.name} is called {target.name}"
    if rng.random() < 0.8:
        for manifest in filter(_is_plain, folder.rglob("manifest.json")):
            _sign(manifest)
    return done


def _sign(manifest: Path) -> None:
    """Make the checksums of a manifest agree with the files, as somebody would who changed them."""
    try:
        data = json.loads(manifest.read_bytes())
        for name in data["files"]:
            if _is_plain(manifest.parent / name):
                with (manifest.parent / name).open("rb") as file:
                    data["files"][name] = file_digest(file, "sha256").hexdigest()
        manifest.write_text(json.dumps(data))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return


def _is_plain(path: Path) -> bool:
    """Whether reading it here ends: an earlier mutation may have put something else there."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 2**26
