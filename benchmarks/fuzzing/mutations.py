"""What strangers do to files: structure first (a key, an array, a link), then bytes. Everything follows from the generator.

A mutation that writes code or leads out of the folder does so into the canaries of `Canaries`, which are looked at afterwards.
"""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import yaml

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
        files = sorted(path for path in self.outside.rglob("*") if path.is_file())
        facts = [(str(path), path.read_bytes(), path.stat().st_mtime_ns) for path in files]
        return [*facts, *((str(path), b"", 0) for path in sorted(self.outside.rglob("*")) if path.is_dir())]

    @property
    def command(self) -> list[str]:
        """A command that is noticed when it runs."""
        return ["touch", str(self.code)]


class _Planted:
    """Runs a command when it is unpickled."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.spawnvp, (os.P_WAIT, self.command[0], self.command)


_NUMBERS = (
    -1,
    0,
    1,
    2,
    10**6,
    10**13,
    2**63,
    -(2**63),
    10**299,
    0.5,
    -1e308,
    1e-320,
    float("nan"),
    float("inf"),
)
_TEXTS = (
    "",
    "x",
    "obs",
    "O",
    "V1000000000",
    "<f8",
    "a\0b",
    "\x1b[2J\x1b]0;x\x07",
    "\u202etxt",
    "two\nlines",
    "\ud800",
)
_NAMES = (
    "..",
    "../outside",
    "../../outside/nested",
    "/etc/passwd",
    "/dev/zero",
    "planted_module",
    "planted_module:Corridor-v0",
)
_TREES: tuple[Any, ...] = ([], {}, [[]], {"": 0}, [None] * 1000, "x" * 10**5, DEEP, LONG, ALIASES, TAGGED)


def strange(rng: random.Random, canaries: Canaries) -> Any:
    """Return a value that nobody expects."""
    kind = rng.choice([_NUMBERS, _NUMBERS, _TEXTS, (*_NAMES, str(canaries.outside)), _TREES, (None, True)])
    return copy.deepcopy(rng.choice(kind))


# ---------------------------------------------------------------------- data


def mutate_data(data: Any, rng: random.Random, canaries: Canaries) -> Any:
    """Return nested lists and dicts with one place changed."""
    places = list(_places(data))
    if not places:
        return strange(rng, canaries)
    holder, key = rng.choice(places)
    match rng.randrange(7):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[str(strange(rng, canaries))] = holder.pop(key)
        case 2:
            other, place = rng.choice(places)
            holder[key] = json.loads(json.dumps(other.get(place) if isinstance(other, dict) else None))
        case 3 if isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = rng.choice([-1, 2, 10, 1000]) * holder[key] + rng.choice([0, 1, -1, 0.5])
        case 4 if isinstance(holder, list):
            holder += [holder[key]] * rng.choice([1, 100])
        case _:
            holder[key] = strange(rng, canaries)
    return data


def _places(data: Any) -> Any:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(entries):
        yield data, key
        yield from _places(value)


def _spelled(text: str, canaries: Canaries, *, yaml_text: bool) -> bytes:
    """Replace what stands for more than an encoder writes."""
    depth = 3000
    aliases = "&a0 [x, x]"
    for level in range(1, 30):
        aliases = f"&a{level} [{aliases}, *a{level - 1}]"
    special = {
        DEEP: "[" * depth + "]" * depth,
        LONG: "9" * 5000,
        ALIASES: aliases if yaml_text else '{"a": 1, "a": 2}',
        TAGGED: f"!!python/object/apply:os.spawnvp [0, touch, {canaries.command}]" if yaml_text else "NaN",
    }
    for name, content in special.items():
        for quoted in (f'"{name}"', f"'{name}'", name):
            text = text.replace(quoted, content)
    return text.encode("utf-8", "surrogatepass")


def mutate_json(content: bytes, rng: random.Random, canaries: Canaries) -> bytes:
    """Return JSON with one place changed."""
    data = mutate_data(json.loads(content), rng, canaries)
    return _spelled(json.dumps(data, indent=rng.choice([None, 1])), canaries, yaml_text=False)


def mutate_lines(content: bytes, rng: random.Random, canaries: Canaries) -> bytes:
    """Return lines of JSON with one of them changed, doubled, left out, moved or cut."""
    lines = content.split(b"\n")[:-1]
    if not lines:
        return b"{}\n" * rng.randrange(3)
    number = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            lines.insert(number, rng.choice(lines))
        case 1:
            del lines[number]
        case 2:
            rng.shuffle(lines)
        case 3:
            lines[number] = lines[number][: rng.randrange(1 + len(lines[number]))]
        case _:
            lines[number] = mutate_json(lines[number], rng, canaries).replace(b"\n", b" ")
    return b"".join(line + b"\n" for line in lines)


def mutate_yaml(content: bytes, rng: random.Random, canaries: Canaries) -> bytes:
    """Return YAML with one place changed."""
    if b"&a" in content:
        raise ValueError("an earlier mutation has put in aliases, which would be walked through one by one")
    data = mutate_data(yaml.safe_load(content), rng, canaries)
    return _spelled(
        yaml.safe_dump(data, sort_keys=False, allow_unicode=rng.random() < 0.5), canaries, yaml_text=True
    )


def mutate_bytes(content: bytes, rng: random.Random, canaries: Canaries) -> bytes:
    """Return a file with flipped bits, or cut off, doubled, overwritten."""
    changed = bytearray(content or b"\n")
    at = rng.randrange(len(changed))
    match rng.randrange(6):
        case 0:
            return bytes(changed[:at])
        case 1:
            return bytes(changed + changed)
        case 2:
            changed[at : at + 16] = rng.randbytes(16)
        case 3:
            return pickle.dumps(_Planted(canaries.command))
        case _:
            for _ in range(rng.choice([1, 1, 8])):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


# ---------------------------------------------------------------------- archives


def mutate_archive(content: bytes, rng: random.Random, canaries: Canaries) -> bytes:
    """Return a zip of arrays with an entry changed, and the header that describes the entries made to agree."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(entries))
    compression = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    match rng.randrange(8):
        case 0:
            del entries[name]
        case 1:
            other = rng.choice(list(entries))
            entries[name], entries[other] = entries[other], entries[name]
        case 2:
            entries[rng.choice(["../outside/x.npy", "/x.npy", "x.npy", "a\0.npy"])] = entries.pop(name)
        case 3:
            entries[name] = mutate_bytes(entries[name], rng, canaries)
        case 4:
            entries[name] = bytes(rng.choice([10**5, 3 * 10**7]))
        case _:
            _mutate_entry(entries, name, rng, canaries)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for each, entry in entries.items():
            archive.writestr(each.replace("\0", ""), entry)
    made = target.getvalue()
    if rng.random() < 0.1:  # a directory that lies about sizes
        size = len(entries.get(name, b"")).to_bytes(4, "little")
        made = made.replace(size, rng.choice([0, 10, 2**31, 2**32 - 2]).to_bytes(4, "little"))
    return made


def _mutate_entry(entries: dict[str, bytes], name: str, rng: random.Random, canaries: Canaries) -> None:
    if not name.endswith(".npy"):
        entries[name] = mutate_json(entries[name], rng, canaries)
        return
    array = np.load(io.BytesIO(entries[name]))
    if array.dtype.kind == "U" and array.ndim == 0:  # JSON in an array
        text = mutate_json(str(array).encode(), rng, canaries).decode("utf-8", "replace")
        changed = np.array(text)
    else:
        changed = mutate_array(array, rng, canaries)
    target = io.BytesIO()
    np.lib.format.write_array(target, changed, allow_pickle=True)
    entries[name] = target.getvalue()
    if "header.json" in entries:
        header = json.loads(entries["header.json"])
        header["arrays"][name.removesuffix(".npy")] = [changed.dtype.str, list(changed.shape)]
        entries["header.json"] = json.dumps(header).encode()


def mutate_array(array: np.ndarray, rng: random.Random, canaries: Canaries) -> np.ndarray:
    """Return an array of another shape, dtype or content."""
    match rng.randrange(7):
        case 0:
            return array[: len(array) // 2] if array.ndim else np.zeros(3, array.dtype)
        case 1:
            return np.concatenate([array] * 3) if array.ndim else array.reshape(1, 1)
        case 2:
            return array[..., None]
        case 3:
            return np.zeros(
                array.shape, rng.choice(["f4", "f8", "i8", "u8", "?", "u1", "c16", "U4", "M8[s]"])
            )
        case 4:
            planted = np.empty(array.shape, object)
            planted.fill(_Planted(canaries.command))
            return planted
        case _:
            changed = array.copy()
            if changed.size and changed.dtype.kind in "biuf":
                info = np.finfo(changed.dtype) if changed.dtype.kind == "f" else None
                ends = [0, 1] if changed.dtype.kind == "b" else [0, 1, 7]
                if changed.dtype.kind == "f":
                    ends = [0.0, -1.0, np.nan, np.inf, float(info.max) if info else 0.0, 0.5]
                elif changed.dtype.kind in "iu":
                    ends += [np.iinfo(changed.dtype).max, np.iinfo(changed.dtype).min]
                where = slice(None) if rng.random() < 0.5 else rng.randrange(changed.size)
                changed.reshape(-1)[where] = rng.choice(ends)
            return changed


# ---------------------------------------------------------------------- files and folders

_BY_ENDING: dict[str, Callable[[bytes, random.Random, Canaries], bytes]] = {
    ".json": mutate_json,
    ".jsonl": mutate_lines,
    ".yaml": mutate_yaml,
    ".npz": mutate_archive,
    ".zip": mutate_archive,
}


def mutate_file(path: Path, rng: random.Random, canaries: Canaries) -> str:
    """Change a file; return what was done."""
    content = path.read_bytes()
    by_structure = _BY_ENDING.get(path.suffix, mutate_bytes)
    how = by_structure if rng.random() < 0.75 else mutate_bytes
    for _ in range(rng.choice([1, 1, 1, 2])):
        try:
            content = how(content, rng, canaries)
        except Exception:  # whatever decoders raise where an earlier mutation has left no structure
            content = mutate_bytes(content, rng, canaries)
    path.write_bytes(content)
    return f"{how.__name__} {path.name}"


def replace_file(path: Path, rng: random.Random, canaries: Canaries) -> str:
    """Let something else stand where a file is; return what."""
    path.unlink()
    what = rng.choice(
        ["nothing", "empty", "fifo", "folder", "link", "link to a folder", "device", "hole", "itself"]
    )
    match what:
        case "empty":
            path.write_bytes(b"")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(canaries.outside / "rows.jsonl")
        case "link to a folder":
            path.symlink_to(canaries.outside)
        case "device":
            path.symlink_to("/dev/zero")
        case "hole":
            path.touch()
            os.truncate(path, 2**36)
        case "itself":
            path.symlink_to(path)
    return f"{what} for {path.name}"


def mutate_folder(folder: Path, rng: random.Random, canaries: Canaries) -> str:
    """Change one file of a folder, or what stands at its place; return what was done."""
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
