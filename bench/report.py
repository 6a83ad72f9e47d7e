"""Runs the benchmarks and writes what they say into docs/benchmarks.md.

`python -m bench.report run [NAME...]` runs all, or those named (`store` for bench/bench_store.py), one after the other,
and keeps what each printed in build/bench/. `python -m bench.report write` puts the last output of each into the
document, under what the benchmark says of itself: one that was never run has no figures there.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "bench"
DOCUMENT = ROOT / "docs" / "benchmarks.md"

_PREFACE = """# Benchmarks

Every benchmark compares with a peer or with the machine's limit in the same run: rates depend on the machine, ratios
much less. `make bench` runs all of them, `make bench BENCH="store udp"` some, `make bench-report` writes this document
from their last runs; nothing in it is edited by hand. Machines that do something else meanwhile give worse figures.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a benchmark.

    Attributes:
        date: UTC. machine: processor, cores, kernel and Python. commit: of the sources, `+` behind it with changes.
        seconds: it took. output: what it printed, warnings left out. code: it ended with.
    """

    date: str
    machine: str
    commit: str
    seconds: float
    output: str
    code: int


def benchmarks() -> dict[str, Path]:
    """The benchmarks by name."""
    return {path.stem.removeprefix("bench_"): path for path in sorted((ROOT / "bench").glob("bench_*.py"))}


def machine() -> str:
    """What the figures depend on."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    except OSError:
        pass
    cores = os.cpu_count() or 1
    return f"{processor}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def commit() -> str:
    """The commit of the sources."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def run(path: Path) -> Run:
    """Runs a benchmark; what it prints is shown at once."""
    begun, date = time.monotonic(), time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    lines = []
    command = [sys.executable, str(path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    output = "\n".join(lines).strip()
    return Run(date, machine(), commit(), round(time.monotonic() - begun, 1), output, process.returncode)


def run_all(names: Sequence[str]) -> int:
    """Runs benchmarks and keeps the results; stops at the first that fails."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    found = benchmarks()
    for name in names or found:
        print(f"== bench/{found[name].name}", flush=True)
        done = run(found[name])
        if done.code:
            print(f"bench/{found[name].name} ended with {done.code}", file=sys.stderr)
            return 1
        (RESULTS / f"{name}.json").write_text(json.dumps(asdict(done), indent=2) + "\n")
    return 0


def document(results: Path = RESULTS) -> str:
    """The document, from what was kept."""
    return "\n".join(
        [_PREFACE, *(line for name, path in benchmarks().items() for line in _section(name, path, results))]
    )


def _section(name: str, path: Path, results: Path) -> Iterator[str]:
    title, _, rest = (ast.get_docstring(ast.parse(path.read_text())) or name).partition("\n\n")
    yield f"## {name}\n"
    yield f"{title}\n"
    if rest:
        yield f"{rest}\n"
    yield f"Repeat it: `make bench BENCH={name}`.\n"
    kept = results / f"{name}.json"
    if not kept.exists():
        yield "Not run yet.\n"
        return
    last = Run(**json.loads(kept.read_text()))
    yield f"{last.date} UTC, commit {last.commit}, {last.machine}; it took {last.seconds:.0f} s:\n"
    yield f"```\n{last.output}\n```\n"


def main() -> int:
    """Reads the command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    verbs = parser.add_subparsers(dest="verb", required=True)
    running = verbs.add_parser("run", help="run benchmarks and keep what they print")
    running.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(benchmarks())}; all by default")
    verbs.add_parser("write", help="write docs/benchmarks.md")
    said = parser.parse_args()
    if said.verb == "write":
        DOCUMENT.write_text(document())
        return 0
    for name in said.names:
        if name not in benchmarks():
            parser.error(f"{name}: no such benchmark; there are {', '.join(benchmarks())}")
    return run_all(said.names)


if __name__ == "__main__":
    sys.exit(main())
