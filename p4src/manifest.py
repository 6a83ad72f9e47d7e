"""Digests that tie committed compiler output to the sources it came from, so that stale output cannot land."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
MANIFEST = "manifest.json"


class BuildError(Exception):
    """The program cannot be compiled or its committed output is stale; the text says which file and why."""


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(files: Iterable[Path], root: Path) -> dict[str, str]:
    """Digest of every one of `files` that exists, by path relative to `root`."""
    return {str(path.relative_to(root)): digest(path) for path in sorted(files) if path.exists()}


def includes(main: Path) -> set[Path]:
    """`main` and every file that it includes with quotes, whatever conditions stand around."""
    found: set[Path] = set()
    todo = [main.resolve()]
    while todo:
        path = todo.pop()
        if path not in found and path.exists():
            found.add(path)
            todo += [(path.parent / name).resolve() for name in INCLUDE.findall(path.read_text())]
    return found


def write(out: Path, compiler: dict[str, str], sources: dict[str, str], outputs: Iterable[str]) -> None:
    """Writes the manifest of the output folder `out`: compiler versions, digests of sources and output files."""
    manifest = {**compiler, "sources": sources, "outputs": {name: digest(out / name) for name in outputs}}
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def check(out: Path, sources: dict[str, str]) -> None:
    """Raises BuildError naming each file whose digest is not the one in the manifest of `out`."""
    manifest = json.loads((out / MANIFEST).read_text())
    now = {"sources": sources, "outputs": digests((out / name for name in manifest["outputs"]), out)}
    stale = [
        name
        for kind in now
        for name in sorted(manifest[kind].keys() | now[kind].keys())
        if manifest[kind].get(name) != now[kind].get(name)
    ]
    if stale:
        folder = "/".join(out.parts[out.parts.index("compiled") :])
        raise BuildError(f"{folder} is not the output of today's sources: {', '.join(stale)}; run `make p4`")
