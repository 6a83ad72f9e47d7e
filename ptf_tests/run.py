"""Runs the PTF suite against one target: ``python -m ptf_tests.run --target softswitch|bmv2``.

Starts the switch without a program and hands the official `ptf` runner its ports and the address of its P4Runtime
server; the tests push the compiled program themselves. Ports are veth pairs in a network namespace of this run alone,
or, for softswitch, unix-domain sockets that need no privilege.

The outcome of every test goes to build/conformance/ptf-<target>-<ports>.json when all of them were run on the committed
program; log and capture stay in build/ptf/<target>-<ports>/.
The exit code is 0 when every test passed, 1 when one did not, 2 when the suite could not run.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ptf_tests import links, namespace, targets
from ptf_tests.errors import SetupError

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "ptf_tests" / "dataplane"
PLATFORMS = ROOT / "ptf_tests" / "platforms"
PROGRAM = ROOT / "p4src" / "compiled" / "v1model"

# Seconds that a test waits for a packet that must come, and listens for one that must not.
TIMEOUT = 2.0
NEGATIVE_TIMEOUT = 0.05
TEST_SECONDS = 30  # after which PTF gives a test up
RUN_SECONDS = 600  # after which the runner gives PTF up


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the switch is stopped too
    try:
        work = _work(options.work, options.target, options.ports)
        return _run(options.target, options.ports, options.pattern, options.program, options.without, work)
    except SetupError as error:
        print(f"PTF NOT RUN on {options.target}: {error}", file=sys.stderr)
        return 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ptf_tests.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", choices=sorted(targets.TARGETS), default="softswitch")
    parser.add_argument("--ports", choices=("unix", "veth"), help="default: unix sockets for softswitch, veth for bmv2")
    parser.add_argument("-k", dest="pattern", help="only tests whose module.Class contains this, in any case")
    parser.add_argument("--without", metavar="PATTERN", help="no tests whose module.Class contains this, in any case")
    parser.add_argument(
        "--program",
        type=Path,
        default=PROGRAM,
        help="folder of fabric.json and fabric.p4info.txtpb; default: %(default)s",
    )
    parser.add_argument(
        "--work", type=Path, help="new folder for log, capture and outcomes; default: build/ptf/<target>-<ports>"
    )
    options = parser.parse_args(arguments)
    if options.ports is None:
        options.ports = "unix" if options.target == "softswitch" else "veth"
    if options.target == "bmv2" and options.ports == "unix":
        parser.error("simple_switch_grpc has no unix-socket ports; use --ports veth")
    return options


def _work(given: Path | None, target: str, ports: str) -> Path:
    """The folder of this run, empty. Raises SetupError for one that is there, unless it is the runner's own."""
    folder = given or ROOT / "build" / "ptf" / f"{target}-{ports}"
    if given is None:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SetupError(f"--work {folder}: {error.strerror}") from None
    return folder


def _run(target: str, ports: str, pattern: str | None, program: Path, without: str | None, work: Path) -> int:
    full = pattern is None and without is None and program == PROGRAM
    output = ROOT / "build" / "conformance" / f"ptf-{target}-{ports}.json"
    if full:
        output.unlink(missing_ok=True)  # a run that breaks off must not leave the results of an earlier one
    switch, ptf = targets.TARGETS[target](), _ptf()
    records = work / "records.jsonl"
    records.touch()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ptf-") as sockets:
        if ports == "veth":
            namespace.enter()
        ends = links.veth() if ports == "veth" else links.unix(Path(sockets))
        address = targets.free_address()
        suite = [
            *ptf,
            *_suite_options(ports, ends, work),
            *("--test-params", _parameters(grpc=address, target=target, records=records, program=program.resolve())),
        ]
        selected = _select(suite, pattern, without)
        with targets.running(switch, ends, address, work / "switch.log"):
            passed = _passes([*suite, *selected])
    results = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    if full:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _report(f"{target} over {ports}", results, time.monotonic() - started)
    return 0 if passed and results and all(result["outcome"] == "passed" for result in results) else 1


def _passes(suite: Sequence[str]) -> bool:
    """Runs `ptf`; whether it ended with 0. One that hangs, as it does when nobody reads what it says, is killed."""
    try:
        return subprocess.run(suite, check=False, timeout=RUN_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"ptf was stopped after {RUN_SECONDS} s", file=sys.stderr)
        return False


def _suite_options(ports: str, ends: Sequence[links.Link], work: Path) -> list[str]:
    """Options of `ptf` that do not depend on the switch."""
    return [
        *("--test-dir", str(TESTS), "--pypath", str(ROOT)),
        *("--platform", ports, "--platform-dir", str(PLATFORMS)),
        *(argument for link in ends for argument in ("--interface", f"{link.port}@{link.tester}")),
        *("--default-timeout", str(TIMEOUT), "--default-negative-timeout", str(NEGATIVE_TIMEOUT)),
        *("--test-case-timeout", str(TEST_SECONDS), "--random-seed", "1", "--qlen", "4096"),
        *("--socket-recv-size", "16384", "--allow-user"),
        *("--log-file", str(work / "ptf.log"), "--debug", "info"),
    ]


def _ptf() -> list[str]:
    """The command that starts the `ptf` runner of this Python. Raises SetupError where there is none."""
    script = Path(sys.executable).parent / "ptf"
    if not script.exists():
        raise SetupError("the ptf runner is not installed: pip install --no-deps ptf==0.12.0")
    return [sys.executable, str(script)]


def _parameters(**values: object) -> str:
    """Test parameters as `ptf` wants them: assignments in Python."""
    return ";".join(f"{name}={str(value)!r}" for name, value in values.items())


def _select(suite: Sequence[str], pattern: str | None, without: str | None) -> list[str]:
    """The tests to run, as arguments of `ptf`; none means all."""
    if pattern is None and without is None:
        return []
    listing = subprocess.run([*suite, "--list-test-names"], capture_output=True, text=True, check=False)
    if listing.returncode:
        raise SetupError(f"ptf cannot list the tests:\n{listing.stderr}")
    modules = {path.stem for path in TESTS.glob("*.py")}  # ptf names modules of its own as well
    words = listing.stdout.split()
    names = [word for word in words if re.fullmatch(r"\w+\.\w+", word) and word.partition(".")[0] in modules]
    found = [name for name in names if (pattern or "").lower() in name.lower()]
    if without is not None:
        found = [name for name in found if without.lower() not in name.lower()]
    if not found:
        raise SetupError(f"-k {pattern} --without {without}: no test is left")
    return found


def _report(target: str, results: list[dict[str, object]], seconds: float) -> None:
    failed = [str(result["test"]) for result in results if result["outcome"] != "passed"]
    print(f"PTF on {target}: {len(results) - len(failed)} passed, {len(failed)} failed in {seconds:.1f} s")
    for name in failed:
        print(f"  FAILED {name}")


if __name__ == "__main__":
    sys.exit(main())
