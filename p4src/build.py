"""Compiles the P4 programs and keeps the manifests that tie the compilers' output to the sources it came from.

The output is committed, because p4c is in no package registry. A manifest holds a digest of every source and
output file, and the compiler's version, so that stale output cannot land:

    python p4src/build.py          compile and write the manifests: the v1model program with p4c-bm2-ss from the PATH
                                   (or $P4C), the profiles for Tofino with p4c-barefoot and bfas (or $P4C_BAREFOOT
                                   and $BFAS) where they are installed and a profile's sources have changed
    python p4src/build.py --all    compile every profile for Tofino, changed or not
    python p4src/build.py --check  compare digests only; needs no compiler
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # for a run as a script

from p4src import manifest, tofino  # noqa: E402
from p4src.manifest import BuildError as BuildError  # noqa: E402
from p4src.manifest import digests  # noqa: E402

SOURCE_SUFFIX = ".p4"
OUTPUTS = ("fabric.json", "fabric.p4info.txtpb")


def sources(architecture: str, root: Path = HERE) -> dict[str, str]:
    """Digest of every source that `architecture` is compiled from, by path relative to `root`."""
    folders = [root / "include", root / "stages", root / architecture]
    return digests((path for folder in folders for path in folder.rglob(f"*{SOURCE_SUFFIX}")), root)


def compiler() -> str:
    """Path of the compiler: $P4C, or p4c-bm2-ss on the PATH. Raises BuildError when there is none."""
    found = os.environ.get("P4C") or shutil.which("p4c-bm2-ss")
    if not found:
        raise BuildError("p4c-bm2-ss is not on the PATH and $P4C is not set; p4lang/p4c's README tells how to build it")
    return found


def compile_v1model(
    out: Path, root: Path = HERE, program: str = "v1model/fabric.p4", include: Iterable[str] = ()
) -> str:
    """Compiles a program for v1model into `out` (fabric.json, fabric.p4info.txtpb); returns p4c's version.

    `include`: folders within the source folder that the compiler looks for system headers in.
    """
    p4c = compiler()
    out.mkdir(parents=True, exist_ok=True)
    # Compiled from within the source folder, so that the source locations in the JSON are relative to it.
    command = [p4c, "--std", "p4-16", "--p4runtime-files", str(out / "fabric.p4info.txtpb")]
    folders = [*include, *filter(None, [os.environ.get("P4C_INCLUDE")])]
    command += [argument for folder in folders for argument in ("-I", folder)]
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
    manifest.write(out, {"p4c": version}, sources(architecture), OUTPUTS)


def check(architecture: str = "v1model", root: Path = HERE) -> None:
    """Raises BuildError naming each file whose digest is not the manifest's."""
    manifest.check(root / "compiled" / architecture, sources(architecture, root))


def main(arguments: list[str]) -> None:
    """Runs the command line above. Raises BuildError."""
    if "--check" in arguments:
        check()
        tofino.check(HERE)
    else:
        build()
        tofino.build(HERE, everything="--all" in arguments)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BuildError as error:
        sys.exit(f"p4src: {error}")
