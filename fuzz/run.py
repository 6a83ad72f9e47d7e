"""Fuzzes targets for a bounded time: `python -m fuzz.run [--seconds N] [TARGET...]`.

Each target runs in a process of its own, from the committed corpus on. What it finds new goes to `build/fuzz`. An input
that breaks a target is named with the command that replays it; fix the fault, then add the input to the corpus.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz.targets import CORPUS, TARGETS

BUILD = Path("build/fuzz")
_LONGEST = 2048  # octets of an input


def _fuzz(name: str, seconds: int) -> int:
    """Run one target in a process of its own; returns its exit code."""
    found = BUILD / name
    found.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={found}-", f"-max_len={_LONGEST}", "-timeout=10"]
    command = [sys.executable, "-m", "fuzz.inside", name, *options, str(found), str(CORPUS / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = [line for line in done.stderr.splitlines() if line.startswith(("#", "Done"))]
    print(f"{name:15} {last[-1] if last else 'did not start'}", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        print(f"{name}: BROKEN. Replay: {sys.executable} -m fuzz.inside {name} FILE", file=sys.stderr)
    return done.returncode


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="fuzz.run", description="Fuzz the decoders and machines.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=8, help="time for each target")
    options = parser.parse_args()
    if unknown := [name for name in options.targets if name not in TARGETS]:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    codes = [_fuzz(name, options.seconds) for name in options.targets or TARGETS]
    sys.exit(any(codes))


if __name__ == "__main__":
    main()
