"""Files that no honest program wrote: each is refused by name, without the memory or the time that it asks for."""

import json
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from shapegym.shaping.files.marked_yaml import LARGEST_YAML, MOST_VALUES, YamlError, read_yaml
from shapegym.shaping.json_lines import LARGEST_ROWS, append_rows, each_row, read_rows
from shapegym.shaping.limited_archives import LARGEST_DIRECTORY, MOST_ENTRIES, open_archive, read_arrays
from shapegym.shaping.limited_files import (
    DEEPEST,
    LARGEST_DOCUMENT,
    LARGEST_HOLLOW,
    MIB,
    MOST_DIGITS,
    MOST_HOLLOW,
    opened,
    read_bytes,
    read_json,
    read_object,
    read_text,
)


class Refused(Exception):
    """The type that the tests ask for."""


# ---------------------------------------------------------------------- what is opened


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("fifo", "Is a FIFO"),
        ("folder", "Is a directory"),
        ("/dev/zero", "Is a device"),
        ("link to fifo", "Is a FIFO"),
        ("none", "No such file"),
        ("nul\0", "null byte"),
    ],
)
@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, read_arrays, read_rows])
def test_only_regular_files_are_read(tmp_path, monkeypatch, path, message, read):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    os.symlink("fifo", "link to fifo")
    os.mkdir("folder")
    with pytest.raises(Refused, match=message):
        read(path, Refused)


def test_text_is_utf_8_and_not_too_long(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xff")
    with pytest.raises(Refused, match="not UTF-8"):
        read_text(path, Refused)
    path.write_text("12345")
    with pytest.raises(Refused, match="at most 4 bytes"):
        read_text(path, Refused, limit=4)
    os.truncate(path, LARGEST_DOCUMENT + 1)
    with pytest.raises(Refused, match="at most 16 MiB"):
        read_json(path, Refused)


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="the system does not tell holes")
@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, read_arrays, read_rows])
def test_what_is_nearly_all_holes_is_not_read(tmp_path, read):
    path = tmp_path / "file"
    np.savez(tmp_path / "honest.npz", x=np.arange(9))
    path.write_bytes((tmp_path / "honest.npz").read_bytes())
    os.truncate(path, 2**40)  # it takes no room on the disk
    with path.open("r+b") as file:
        file.seek(2**39)
        file.write(b"\n")
    with pytest.raises(Refused, match="nearly all of its 1,048,576 MiB are holes"):
        read(path, Refused)


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="the system does not tell holes")
def test_a_copy_without_long_zeros_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"begin" + bytes(LARGEST_HOLLOW // MOST_HOLLOW + MIB))
    os.truncate(path, LARGEST_HOLLOW + MIB)
    with opened(path, Refused) as file:
        assert file.read(5) == b"begin"


# ---------------------------------------------------------------------- JSON

BAD_JSON = {
    b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1): "nested too deeply",
    b"[" * 10**6: "maximum recursion",
    b'{"a": 1, "a": 2}': "'a' is repeated",
    b'["\\ud800"]': "surrogates not allowed",
    b"9" * (MOST_DIGITS + 1): "301 digits",
    b"9" * 10**6: "1000000 digits",
    b"NaN": "NaN is no number",
    b"\xff": "utf-8",
    b"": "Expecting value",
}


@pytest.mark.parametrize("content", BAD_JSON, ids=range(len(BAD_JSON)))
def test_json_is_plain_and_shallow(tmp_path, content):
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(Refused, match=BAD_JSON[content]):
        read_json(path, Refused)
    path.write_bytes(b"{}\n" + content.replace(b"\n", b" ") + b"\n{}\n")
    with pytest.raises(Refused, match="line 2, is not JSON"):
        read_rows(path, Refused)


def test_honest_json_is_read(tmp_path):
    path = tmp_path / "data.json"
    levels = DEEPEST - 1
    data = {
        "deep": json.loads("[" * levels + "]" * levels),
        "long": 10 ** (MOST_DIGITS - 1),
        "text": "9" * 400,
        "ü": "\N{SLEEPY FACE}",
    }
    path.write_text(json.dumps(data))
    assert read_object(path, Refused) == data
    path.write_text("[]")
    with pytest.raises(Refused, match="holds list"):
        read_object(path, Refused)


def test_a_line_of_rows_has_an_end(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n" + b" " * (LARGEST_DOCUMENT + 1))
    with pytest.raises(Refused, match="line 2, is too long"):
        read_rows(path, Refused)


def test_rows_that_are_kept_at_once_have_a_limit(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n" + b" " * 9)
    os.truncate(path, LARGEST_ROWS + 1)
    with pytest.raises(Refused, match="rows of at most 128 MiB are read at once"):
        read_rows(path, Refused)
    assert next(each_row(path, Refused)) == {}


def test_rows_are_added_after_a_torn_line_of_a_length_that_lines_have(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n" + b" " * (LARGEST_DOCUMENT - 1))
    append_rows(path, [{"step": 1}])
    assert path.read_bytes() == b'{}\n{"step": 1}\n'
    os.truncate(path, 2**40)
    with pytest.raises(OSError, match="ends in a line of more than 16 MiB"):
        append_rows(path, [{"step": 2}])


def test_rows_are_not_added_through_a_link(tmp_path):
    (tmp_path / "mine").write_text("")
    (tmp_path / "rows.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic link"):
        append_rows(tmp_path / "rows.jsonl", [{"step": 1}])
    assert (tmp_path / "mine").read_text() == ""


# ---------------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 10**5, "Nested too deeply"),
        ("- " * 10**5, "Nested too deeply"),
        ("[" + "x," * MOST_VALUES + "x]", "at most 50,000 values"),
        ("x" * (LARGEST_YAML + 1), "at most 1 MiB"),
        ("a: &a [x, x]\nb: *a", "Anchors and aliases"),
        ("a: 1\na: 2", "repeated"),
        ("\ud800", "surrogates"),
        ("null\n---\nnull", "second document"),
    ],
    ids=lambda value: value[:10],
)
def test_yaml_does_not_grow_when_read(text, message):
    with pytest.raises(YamlError, match=message):
        read_yaml(text)


# ---------------------------------------------------------------------- archives


def npy(shape, dtype="<f8", content=b"", version=b"\x01\x00"):
    """The bytes of an array that says that it is of this form."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return (
        b"\x93NUMPY"
        + version
        + struct.pack("<H" if version[0] == 1 else "<I", len(header))
        + header
        + content
    )


BAD_ARRAYS = {
    "says more than it is": (npy((10**12,)), "has 0 bytes"),
    "says less than it is": (npy((1,), content=bytes(16)), "has 16 bytes"),
    "product of negative sides": (npy((-1, -8), "|u1", bytes(8)), "shape"),
    "rows of nothing": (npy((10**18, 0)), "without a number"),
    "texts of nothing": (npy((10**18,), "<U0"), "not of numbers or texts"),
    "objects": (npy((1,), "|O", bytes(8)), "not of numbers or texts"),
    "records": (npy((1,), [("a", "<f8")], bytes(8)), "not of numbers or texts"),
    "a pickle": (b"cos\nsystem\n(S'true'\ntR.", "magic string"),
    "neither true nor false": (npy((1,), "|b1", b"\x02"), "true and false"),
    "a long header": (npy((1,), "<f8", b" " * 10**5, version=b"\x02\x00"), "has 100,000 bytes"),
    "a header of code": (npy("__import__('os')"), "shape"),
    "another version": (b"\x93NUMPY\x09\x00" + bytes(50), "version"),
    "cut off": (b"\x93NUMPY\x01\x00\xff\xff{", "EOF"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_are_what_they_say(tmp_path, name):
    content, message = BAD_ARRAYS[name]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(Refused, match=message):
        read_arrays(tmp_path / "a.npz", Refused)


def test_honest_arrays_are_read(tmp_path):
    arrays = {
        "big": np.arange(3 * MIB, dtype=">u2").reshape(3, -1),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(True),
        "text": np.array("a\N{SLEEPY FACE}"),
        "nothing": np.zeros((0, 3), np.float32),
    }
    for save in np.savez, np.savez_compressed:
        save(tmp_path / "a.npz", **arrays)
        for name, array in read_arrays(tmp_path / "a.npz", Refused).items():
            np.testing.assert_array_equal(array, arrays[name])
            assert (array.dtype, array.flags.writeable) == (arrays[name].dtype, True)


def entries(count):
    return {str(number): b"" for number in range(count)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (entries(MOST_ENTRIES + 1), "at most 10,000"),
        (
            {"x" * 60_000 + str(number): b"" for number in range(LARGEST_DIRECTORY // 60_000 + 1)},
            "more than 4 MiB",
        ),
    ],
    ids=["many", "long names"],
)
def test_archives_have_few_entries(tmp_path, content, message):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, entry in content.items():
            archive.writestr(name, entry)
    with pytest.raises(Refused, match=message):
        read_arrays(tmp_path / "a.zip", Refused)


@pytest.mark.parametrize(
    ("said", "message"),
    [(10, "Bad CRC"), (20 * MIB, "is too large"), (300 * MIB, "expand to 300 MiB, of this file at most 256")],
)
def test_archives_are_not_expanded_beyond_a_limit(tmp_path, said, message):
    path, size = tmp_path / "a.zip", 50 * MIB
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(size))
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", said)))
    tracemalloc.start()
    with pytest.raises(Refused, match=message), open_archive(path, Refused) as archive:
        archive.read("x")
    assert tracemalloc.get_traced_memory()[1] < 32 * MIB
    tracemalloc.stop()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_strange_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("x.npy", b"")
        archive.writestr("x.npy", b"")
    with zipfile.ZipFile(tmp_path / "other.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", b"")
    for name, message in {"twice.zip": "two entries", "other.zip": "another way"}.items():
        with pytest.raises(Refused, match=message):
            read_arrays(tmp_path / name, Refused)
