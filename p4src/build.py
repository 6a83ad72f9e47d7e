"""Compiles the P4 program and keeps the manifest that ties p4c's output to the sources it came from.

The output is committed, because p4c is in no package registry. The manifest holds a digest of every source and
output file, and the compiler's version, so that stale output cannot land:

    python p4src/build.py          compile with p4c-bm2-ss from the PATH (or $P4C) and write the manifest
    python p4src/build.py --check  compare digests only; needs no compiler
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE_SUFFIX = ".p4"


class BuildError(Exception):
    """The program cannot be compiled or its committed output is stale; the text says which file and why."""


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sources(architecture: str, root: Path = HERE) -> dict[str, str]:
    """Digest of every source that `architecture` is compiled from, by path relative to `root`."""
    folders = [root / "include", root / "stages", root / architecture]
    files = sorted(path for folder in folders for path in folder.rglob(f"*{SOURCE_SUFFIX}"))
    return {str(path.relative_to(root)): digest(path) for path in files}


def compiler() -> str:
    """Path of the compiler: $P4C, or p4c-bm2-ss on the PATH. Raises BuildError when there is none."""
    found = os.environ.get("P4C") or shutil.which("p4c-bm2-ss")
    if not found:
        raise BuildError("p4c-bm2-ss is not on the PATH and $P4C is not set; p4lang/p4c's README tells how to build it")
    return found


def compile_v1model(out: Path, root: Path = HERE, program: str = "v1model/fabric.p4") -> str:
    """Compiles a program for v1model into `out` (fabric.json, fabric.p4info.txtpb); returns p4c's version."""
    p4c = compiler()
    out.mkdir(parents=True, exist_ok=True)
    # Compiled from within the source folder, so that the source locations in the JSON are relative to it.
    command = [p4c, "--std", "p4-16", "--p4runtime-files", str(out / "fabric.p4info.txtpb")]
    if include := os.environ.get("P4C_INCLUDE"):
        command += ["-I", include]
    command += ["-o", str(out / "fabric.json"), program]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise BuildError(f"{p4c} failed with exit code {done.returncode} on {program}")
    version = subprocess.run([p4c, "--version"], capture_output=True, text=True, check=True)
    return (version.stdout + version.stderr).split("Version", 1)[-1].strip()


def build(architecture: str = "v1model") -> None:
    """Compiles and writes output and manifest to compiled/<architecture>/."""
    out = HERE / "compiled" / architecture
    version = compile_v1model(out)
    (out / "manifest.json").write_text(
        json.dumps(
            {
                "p4c": version,
                "sources": sources(architecture),
                "outputs": {name: digest(out / name) for name in ("fabric.json", "fabric.p4info.txtpb")},
            },
            indent=2,
        )
        + "\n"
    )


def check(architecture: str = "v1model", root: Path = HERE) -> None:
    """Raises BuildError naming each file whose digest is not the manifest's."""
    out = root / "compiled" / architecture
    manifest = json.loads((out / "manifest.json").read_text())
    now = {
        "sources": sources(architecture, root),
        "outputs": {name: digest(out / name) for name in manifest["outputs"] if (out / name).exists()},
    }
    stale = [
        name
        for kind in now
        for name in sorted(manifest[kind].keys() | now[kind].keys())
        if manifest[kind].get(name) != now[kind].get(name)
    ]
    if stale:
        raise BuildError(
            f"compiled/{architecture} is not the output of today's sources: {', '.join(stale)}; run `make p4`"
        )


if __name__ == "__main__":
    try:
        check() if "--check" in sys.argv[1:] else build()
    except BuildError as error:
        sys.exit(f"p4src: {error}")
