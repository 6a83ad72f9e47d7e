"""YAML with positions: data for validation, and the line of every field for its error messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

# PyYAML's wheels have libyaml, which reads ten times faster than Python does.
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path_ = tuple[str | int, ...]


class FileError(ValueError):
    """A configuration file is wrong. The text names file, line, field, value and reason, one problem a line."""


def _positions(node: yaml.Node, path: Path_, lines: dict[Path_, int]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _positions(value, (*path, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _positions(value, (*path, index), lines)


def read_yaml(file: Path) -> tuple[Any, dict[Path_, int]]:
    """The data of a YAML file, and the line (from 1) of every value by its path.

    Raises FileError when the file cannot be read or is not YAML.
    """
    try:
        text = file.read_text()
    except OSError as error:
        raise FileError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{file}: not UTF-8 text: octet {error.start}") from error
    try:
        node = yaml.compose(text, Loader=_LOADER)
        data = yaml.load(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise FileError(f"{file}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise FileError(f"{file}: not YAML: {error}") from error
    lines: dict[Path_, int] = {}
    if node is not None:
        _positions(node, (), lines)
    return data, lines


def place(file: Path, lines: dict[Path_, int], path: Path_) -> str:
    """`file:line: field` of a path; the line is that of the nearest value that exists."""
    known = path
    while known and known not in lines:
        known = known[:-1]
    return f"{file}:{lines.get(known, 1)}: {path_text(path) or 'file'}"


def path_text(path: Path_) -> str:
    """A path as people write it: `pods[0].key`."""
    field = ""
    for part in path:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else part
    return field
