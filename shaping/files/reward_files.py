"""Expressions as plain data, and back: the reward files.

    reward:
      sum:
        - task_reward
        - potential: {phi: {distance: {of: features.agent_pos, to: features.goal_pos}}, gamma: 0.99, name: nearer}
        - scale: {by: 0.1, of: {count_bonus: {key: features.agent_pos, scope: episode}}}
    imports: [mypackage.rewards]     # only for nodes of your own: modules that Python can import

A node is a mapping with one key, its registered name, over its fields. Without fields the name alone will do, a text or list or
number in place of the fields is the first of them, and a number in place of an expression is a constant. What a field takes is
what the node's annotations say (`shapegym.shaping.limits`); `node_help` lists it.

A program may stand in a file of its own, ``reward_program: {file: reward.py}``, whose text is read and never imported. Such a file
is itself a reward: the task's, and what the program adds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import Field, dataclass, is_dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args, get_origin

import numpy as np

from shapegym.shaping.algebra import Constant
from shapegym.shaping.atomic_file import replacing
from shapegym.shaping.discovery import HOW_TO_IMPORT, import_modules
from shapegym.shaping.errors import ExpressionError, RewardFileError, ShapingError, said_as, suggest
from shapegym.shaping.files.marked_yaml import (
    LARGEST_YAML,
    KeyPath,
    YamlError,
    dotted,
    located,
    read_yaml,
    write_yaml,
)
from shapegym.shaping.files.schema import alternatives, family, kind_of, know_all_nodes, node_help, options
from shapegym.shaping.limited_files import read_text
from shapegym.shaping.limits import FromFile, Unfit, fields_of, fit, hints_of, is_required, spelled
from shapegym.shaping.programs.language.complaint import ProgramError
from shapegym.shaping.programs.language.sizes import SOURCE_BYTES
from shapegym.shaping.programs.term import program_reward
from shapegym.shaping.states.functions import STATE_FUNCTIONS, Call
from shapegym.shaping.types import NODES, Expression, Node, snake_case

__all__ = [
    "Data",
    "RewardFile",
    "as_expression",
    "as_record",
    "definitions",
    "dump_reward",
    "dumps",
    "from_data",
    "is_yaml",
    "load_reward",
    "loads",
    "modules_of",
    "node_help",
    "read",
    "read_given",
    "read_reward",
    "to_data",
]

Data: TypeAlias = Any
"""Mappings, lists, texts, numbers, booleans and None: what YAML and JSON hold."""


def to_data(expression: Expression) -> Data:
    """Return the expression as plain data, every field written out, so that a default that changes one day changes no old file.

    Raises:
        ExpressionError: if a field holds something that is not plain, such as a function.
    """
    return _encode(expression, type(expression).__name__)


def from_data(data: Data) -> Expression:
    """Return the expression that ``data`` describes, the inverse of `to_data`.

    Raises:
        RewardFileError: if it describes none; says where and what would fit.
    """
    expression: Expression = _unplaced(_decode, Expression, data, ())
    return expression


def dumps(expression: Expression) -> str:
    """Return the text of a reward file; it imports the modules of other people's nodes."""
    imports = modules_of(expression)
    return write_yaml({**({"imports": list(imports)} if imports else {}), "reward": to_data(expression)})


def modules_of(expression: Expression) -> tuple[str, ...]:
    """Return the importable modules that define what is not of shapegym: what a reward file must import to be read elsewhere."""
    modules = {module for module, _ in definitions(expression)}
    return tuple(sorted(name for name in modules if name.split(".")[0] not in ("shapegym", "__main__")))


@dataclass(frozen=True)
class RewardFile:
    """What a reward file says.

    Attributes:
        expression: the reward.
        imports: names of the modules that it imports.
    """

    expression: Expression
    imports: tuple[str, ...] = ()


def loads(text: str, source: str = "<text>") -> Expression:
    """Return the expression that the text of a reward file describes; see `read`."""
    return read(text, source).expression


def read(text: str, source: str = "<text>") -> RewardFile:
    """Import what the text of a reward file imports, and return what it says; errors name ``source``.

    Raises:
        RewardFileError: if it describes no expression; says line, column, key and what would fit.
        PluginError: if it imports what is no module, not there, or fails.
    """
    return _read(text, source, _decode_file)


_folder: ContextVar[Path | None] = ContextVar("folder", default=None)
"""Where the files lie that data name; None where data may be a stranger's, and name none."""


@contextmanager
def _files_in(folder: Path | None) -> Iterator[None]:
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def _read(
    text: str, source: str, decode: Callable[[Data, str], RewardFile], beside: Path | None = None
) -> RewardFile:
    know_all_nodes()
    with said_as(RewardFileError, YamlError, f"{source}:", ""):
        data, places = read_yaml(text)
    with _files_in(beside):
        return _placed(data, places, source, decode)


def _placed(
    data: Data, places: dict[KeyPath, Any], source: str, decode: Callable[[Data, str], RewardFile]
) -> RewardFile:
    try:
        return decode(data, source)
    except _Misfit as misfit:
        raise RewardFileError(located(source, places, misfit.path, misfit.message)) from misfit.__cause__
    except RecursionError:
        raise RewardFileError(f"{source}: Nested too deeply.") from None


def load_reward(path: str | os.PathLike[str]) -> Expression:
    """Read the expression of a reward file. See `read`."""
    return read_reward(path).expression


def read_reward(path: str | os.PathLike[str]) -> RewardFile:
    """Read a reward file. See `read`."""
    text = read_text(path, RewardFileError, "reward file", limit=LARGEST_YAML)
    return _read(text, str(path), _decode_file, Path(path).parent)


def read_program_file(path: str | os.PathLike[str]) -> RewardFile:
    """Return the task's reward and what the program in a Python file adds (`program_reward`). The file is read, not imported."""
    text = read_text(path, RewardFileError, "program", limit=SOURCE_BYTES)
    with said_as(RewardFileError, ProgramError, f"{path}: ", ""):
        return RewardFile(program_reward(text))


def read_given(reward: Expression | Data | os.PathLike[str], beside: Path = Path()) -> RewardFile:
    """Return a reward however it is given, and what it imports.

    Args:
        reward: an expression; plain data, of it or of a whole reward file; their text in YAML; or the name of a reward file, a text
            of one line with a suffix (``reward.yaml``; a program's is ``reward.py``) or a path.
        beside: the folder that names of files are relative to.

    Raises:
        RewardFileError: if it describes no reward.
        PluginError: if it imports what is no module, not there, or fails.
    """
    if isinstance(reward, Expression):
        return RewardFile(reward, modules_of(reward))
    if isinstance(reward, str) and is_yaml(reward):
        return _read(reward, "The reward", _decode_given, beside)
    if isinstance(reward, os.PathLike) or (isinstance(reward, str) and Path(reward).suffix):
        path = beside / reward
        return read_program_file(path) if path.suffix == ".py" else read_reward(path)
    with _files_in(beside):
        file: RewardFile = _unplaced(_decode_given, reward, "The reward")
    return file


def names_files(data: Data) -> bool:
    """Whether data of a reward leave a text, as of a program, to a file: then it is read where it is given, and not kept so."""
    if isinstance(data, list):
        return any(map(names_files, data))
    if not isinstance(data, dict):
        return False
    return any(
        names_files(body) or (isinstance(body, dict) and "file" in body and _from_file(_known(name)) != "")
        for name, body in data.items()
    )


def _known(name: Any) -> type | None:
    know_all_nodes()
    return NODES.get(name) or STATE_FUNCTIONS.get(name) or options().get(name)


def _from_file(node: type | None) -> str:
    """The field of a node that a file may hold, or nothing."""
    hints = hints_of(node) if node else {}
    return next((name for name, hint in hints.items() if FromFile in get_args(hint)), "")


def is_yaml(reward: str) -> bool:
    """Whether a reward given as text is YAML, and not the name of a file, a node or anything else."""
    return any(mark in reward for mark in ("\n", ": ", "{", "["))


def as_expression(reward: Expression | Data | os.PathLike[str]) -> Expression:
    """Return the expression of a reward however it is given (`read_given`).

    What is no expression, text, mapping or path is returned too; whoever binds it refuses it.

    Raises:
        RewardFileError: if data, text or file describe none.
        PluginError: if it imports what is no module, not there, or fails.
    """
    return read_given(reward).expression if isinstance(reward, (str, dict, os.PathLike)) else reward


def as_record(expression: Expression | Data) -> Data:
    """Return what `as_expression` makes an equal expression of, as plain data; what it imports too, if it is not all of shapegym.

    What is no expression is returned as it is.
    """
    if not isinstance(expression, Expression):
        return expression
    imports, data = modules_of(expression), to_data(expression)
    return {"imports": list(imports), "reward": data} if imports else data


def dump_reward(expression: Expression, path: str | os.PathLike[str]) -> None:
    """Write a reward file, whole or not at all.

    Raises:
        RewardFileError: if it cannot be written.
    """
    text = dumps(expression)
    with (
        said_as(RewardFileError, OSError, f"The reward file {path} cannot be written: "),
        replacing(path) as file,
    ):
        file.write(text.encode())


class _Misfit(Exception):
    """Data that does not fit, and where."""

    def __init__(self, message: str, path: KeyPath) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


# ---------------------------------------------------------------------- writing


def definitions(value: Any) -> Iterator[tuple[str, str]]:
    """Yield module and name of the dataclasses in ``value``, and of the functions that they refer to."""
    if isinstance(value, tuple):
        for item in value:
            yield from definitions(item)
    elif is_dataclass(value):
        if isinstance(value, Call):
            yield value.module, value.function
        else:
            yield type(value).__module__, type(value).__name__
        for item in fields_of(type(value)):
            yield from definitions(getattr(value, item.name))


def _encode(value: Any, where: str) -> Data:
    if is_dataclass(value) and not isinstance(value, type):
        name = snake_case(type(value).__name__)
        body = {
            field.name: _encode(getattr(value, field.name), f"{where}.{field.name}")
            for field in fields_of(type(value))
        }
        if isinstance(value, Node) and value.name is not None:
            body["name"] = value.name
        if not body:
            return name
        only = next(iter(body.values()))
        return {name: only if len(body) == 1 and isinstance(only, (list, str, int, float)) else body}
    if isinstance(value, (tuple, list)):
        return [_encode(item, f"{where}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ExpressionError(
        f"{where} is {value!r} ({type(value).__name__}), which cannot be written as plain data."
    )


# ---------------------------------------------------------------------- reading


def _unplaced(decode: Callable[..., Any], *arguments: Any) -> Any:
    """Decode data that no file holds, so that errors name keys alone."""
    know_all_nodes()
    try:
        return decode(*arguments)
    except _Misfit as misfit:
        raise RewardFileError(f"{dotted(misfit.path)}{misfit.message}") from misfit.__cause__
    except RecursionError:
        raise RewardFileError("Nested too deeply.") from None


def _decode_file(data: Data, source: str) -> RewardFile:
    if not isinstance(data, dict) or "reward" not in data or data.keys() - {"reward", "imports"}:
        found = "nothing" if data is None else ", ".join(data) if isinstance(data, dict) else repr(data)
        raise _Misfit(
            "A reward file has the key 'reward' at the top, over an expression, and perhaps 'imports', a list of modules; this "
            f"one has {found}.",
            (),
        )
    imports = _decode(tuple[str, ...], data.get("imports", []), ("imports",))
    import_modules(imports, source, beside=True)
    return RewardFile(_decode(Expression, data["reward"], ("reward",)), imports)


def _decode_given(data: Data, source: str) -> RewardFile:
    """Decode the data of a reward file, or of an expression alone."""
    if isinstance(data, dict) and "reward" in data:
        return _decode_file(data, source)
    return RewardFile(_decode(Expression, data, ()))


def _decode(hint: Any, data: Data, path: KeyPath) -> Any:
    """Return ``data`` as the annotation ``hint`` wants it."""
    takes = alternatives(hint)
    nodes = family(hint)
    if nodes and (isinstance(data, dict) or (isinstance(data, str) and data in nodes)):
        return _decode_node(nodes, data, path)
    if Expression in takes and isinstance(data, (int, float)) and not isinstance(data, bool):
        return _build(path, Constant, data)
    if isinstance(data, list):
        for member in takes:
            if get_origin(member) is tuple:
                return _decode_items(get_args(member), data, path)
        if Expression in takes:
            raise _Misfit(
                "Here belongs one expression, not a list. To add them up, write {sum: [...]}.", path
            )
    if nodes and isinstance(data, str) and str not in takes:
        return _decode_node(nodes, data, path)
    return _decode_leaf(hint, data, path)


def _decode_node(nodes: dict[str, type], data: dict[str, Data] | str, path: KeyPath) -> Any:
    if isinstance(data, dict) and len(data) != 1:
        raise _Misfit(
            f"A node is one key, its name, over its fields; here are {len(data)} keys: {', '.join(map(str, data))}.",
            path,
        )
    name, body = (data, None) if isinstance(data, str) else next(iter(data.items()))
    path = (*path, name) if isinstance(data, dict) else path
    if name not in nodes:
        other = NODES.get(name) or STATE_FUNCTIONS.get(name)
        what = f"is a {kind_of(other)}, which does not fit here" if other else "is not known here"
        how = "" if other else f" {HOW_TO_IMPORT}"
        raise _Misfit(f"{name!r} {what}.{suggest(str(name), nodes)}{how}", path)
    node = nodes[name]
    takes = {field.name: field for field in fields_of(node)}
    if body is None or isinstance(body, dict):
        return _build_node(
            node, takes, {key: (value, (*path, key)) for key, value in (body or {}).items()}, path
        )
    if not takes:
        raise _Misfit(f"{name!r} has no fields, got {body!r}.", path)
    return _build_node(node, takes, {next(iter(takes)): (body, path)}, path)


def _build_node(
    node: type, takes: dict[str, Field[Any]], body: dict[str, tuple[Data, KeyPath]], path: KeyPath
) -> Any:
    """Return the node from its fields, each with the place where it is written."""
    spelling = snake_case(node.__name__)
    if "file" in body and (text := _from_file(node)):
        body = {(text if key == "file" else key): value for key, value in body.items()}
        body[text] = (_text_of_file(*body[text]), body[text][1])
    allowed = (*takes, "name") if issubclass(node, Node) else tuple(takes)
    for key, (_, place) in body.items():
        if key not in allowed:
            inner = next((name for name in takes if key in family(hints_of(node)[name])), None)
            hint = (
                suggest(str(key), allowed)
                if inner is None
                else f" A node goes under its field: {{{inner}: {{{key}: ...}}}}."
            )
            raise _Misfit(f"{spelling!r} has no field {key!r}.{hint}", place)
    for key, field in takes.items():
        if key not in body and is_required(field):
            raise _Misfit(f"{spelling!r} needs the field {key!r}: {_spelled(hints_of(node)[key])}.", path)
    hints = hints_of(node)
    values = {}
    for key, (value, place) in body.items():
        try:
            values[key] = _decode(hints[key], value, place)
        except _Misfit as misfit:
            if misfit.path == path:  # written in place of the fields, so the path does not name the field
                raise _Misfit(f"{key}: {misfit.message}", path) from misfit.__cause__
            raise
    name = values.pop("name", None)
    built = _build(path, node, **values)
    return built if name is None else _build(body["name"][1], built.named, name)


def _text_of_file(name: Data, place: KeyPath) -> str:
    if (folder := _folder.get()) is None:
        raise _Misfit("Here stands the text of a program, and not the name of a file.", place)
    try:
        return read_text(folder / str(name), RewardFileError, "program", limit=SOURCE_BYTES)
    except RewardFileError as error:
        raise _Misfit(str(error), place) from error


def _decode_items(items: tuple[Any, ...], data: list[Data], path: KeyPath) -> tuple[Any, ...]:
    if items[-1] is Ellipsis:
        items = (items[0],) * len(data)
    if len(items) != len(data):
        raise _Misfit(f"Here belong {len(items)} items, not {len(data)}.", path)
    return tuple(
        _decode(hint, item, (*path, position))
        for position, (hint, item) in enumerate(zip(items, data, strict=True))
    )


def _decode_leaf(hint: Any, data: Data, path: KeyPath) -> Any:
    if isinstance(data, float) and math.isnan(data):
        raise _Misfit(f"NaN is no value of a field; it must be {_spelled(hint)}.", path)
    try:
        fit(hint, data)
    except Unfit as unfit:
        raise _Misfit(str(unfit).replace(spelled(hint), _spelled(hint)), path) from None
    except ShapingError as error:
        raise _Misfit(str(error), path) from error
    return data


def _spelled(hint: Any) -> str:
    """What an annotation takes, in the words of YAML."""
    return spelled(hint).replace("tuple", "list").replace("None", "null")


def _build(path: KeyPath, make: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return make(*args, **kwargs)
    except (ShapingError, TypeError, ValueError, OverflowError) as error:
        raise _Misfit(str(error), path) from error
