"""Compiles the profiles of the TNA program with the open Tofino back end of p4c, and keeps what its reports say.

A profile is a main file in tna/profiles/ that names the sizes of its tables and includes the program, of one pipe or
several. Of the compiler's output P4Info is committed, and one short report for each profile and chip; the binaries are
not, but the report says which there were, so that a build that ends before the assembler's output cannot pass for one
that does not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from p4.config.v1 import p4info_pb2

from p4src import manifest
from p4src.manifest import BuildError


@dataclass(frozen=True)
class Chip:
    """A Tofino, under the names that the compiler has for it; `stages` of a pipe, for ingress and egress together."""

    name: str
    number: int
    target: str
    architecture: str
    stages: int


TOFINO_1 = Chip("Tofino 1", 1, "tofino", "tna", 12)
TOFINO_2 = Chip("Tofino 2", 2, "tofino2", "t2na", 20)


@dataclass(frozen=True)
class Build:
    """One profile on one chip; `options` of the compiler beside those of all. Its pipes are the program's."""

    profile: str
    chip: Chip
    options: tuple[str, ...] = ()

    @property
    def main(self) -> str:
        """The main file, relative to the source folder."""
        return f"tna/profiles/{self.profile}.p4"

    def out(self, root: Path) -> Path:
        """Folder of what is committed."""
        return root / "compiled" / "tna" / f"{self.profile}-{self.chip.target}"


# Egress of the cells' pipe takes apart more of a packet than Tofino 1's parser does at the full rate of all its ports.
DEEP_PARSER = "--disable-parse-max-depth-limit"

BUILDS = (
    Build("forwarding", TOFINO_1),
    Build("forwarding", TOFINO_2),
    Build("collectives", TOFINO_1, (DEEP_PARSER,)),
    Build("collectives", TOFINO_2),
    Build("full", TOFINO_1, (DEEP_PARSER,)),
    Build("full", TOFINO_2),
)

P4INFO = "fabric.p4info.txtpb"
REPORT = "report.json"

# The search for containers takes hours instead of minutes without the first.
OPTIONS = ("--quick-phv-alloc", "-g", "--p4runtime-force-std-externs")


def sources(build: Build, root: Path) -> dict[str, str]:
    """Digest of every file that the profile's main file includes, by path relative to `root`."""
    root = root.resolve()
    return manifest.digests(manifest.includes(root / build.main), root)


def check(root: Path) -> None:
    """Raises BuildError naming each file whose digest is not the one in a profile's manifest."""
    for each in BUILDS:
        manifest.check(each.out(root), sources(each, root))


def tools() -> tuple[str, str] | None:
    """Paths of compiler and assembler: $P4C_BAREFOOT and $BFAS, or from the PATH; None if one of them is missing."""
    compiler = os.environ.get("P4C_BAREFOOT") or shutil.which("p4c-barefoot")
    assembler = os.environ.get("BFAS") or shutil.which("bfas")
    return (compiler, assembler) if compiler and assembler else None


def build(root: Path, *, everything: bool = False) -> None:
    """Compiles the profiles whose sources have changed, or all, to compiled/tna/. Says so loudly where it cannot."""
    found = tools()
    for each in BUILDS:
        try:
            manifest.check(each.out(root), sources(each, root))
            fresh = not everything
        except (BuildError, OSError):
            fresh = False
        if fresh:
            continue
        if found is None:
            sys.stderr.write(
                f"p4src: NOT COMPILED FOR {each.chip.name}: profile {each.profile}; p4c-barefoot or bfas is not on the "
                "PATH, and $P4C_BAREFOOT and $BFAS are not set\n"
            )
            continue
        sys.stderr.write(f"p4src: profile {each.profile} for {each.chip.name}; this takes minutes\n")
        compile_profile(each, each.out(root), found, root)


def compile_profile(each: Build, out: Path, found: tuple[str, str], root: Path) -> None:
    """Compiles and assembles one profile into `out`: P4Info, report, manifest. Raises BuildError."""
    compiler, assembler = found
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        command = [compiler, "--std", "p4-16", "--target", each.chip.target, "--arch", each.chip.architecture]
        command += [f"-D__TARGET_TOFINO__={each.chip.number}", *OPTIONS, *each.options]
        for folder in filter(None, os.environ.get("P4C_BAREFOOT_INCLUDE", "").split(":")):
            command += ["-I", folder]
        command += ["--p4runtime-files", str(work / "fabric.p4info.txt"), "-o", str(work / "out"), each.main]
        run(command, root)
        assemblies = sorted((work / "out").glob("*/*.bfa"))
        pipes = {}
        for assembly in assemblies:
            pipe = assembly.parent
            check_branches(assembly.read_text(), f"{pipe.name} of {each.main}")
            run([assembler, "--target", each.chip.target, "-o", str(pipe), str(assembly)], root)
            binaries = sorted(pipe.glob("*.bin"))
            if not binaries:
                raise BuildError(f"{assembler} has written no binary for {pipe.name} of {each.main}")
            pipes[pipe.name] = {"binaries": {path.name: path.stat().st_size for path in binaries}, **reduce(pipe)}
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work / "fabric.p4info.txt", out / P4INFO)
        report = {"profile": each.profile, "chip": each.chip.name, "pipes": pipes}
        (out / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    text = (version.stdout + version.stderr).split("Version", 1)[-1].strip()
    manifest.write(out, {"p4c-barefoot": text}, sources(each, root), (P4INFO, REPORT))


def check_branches(assembly: str, what: str) -> None:
    """Raises BuildError for assembler input whose parsers load what they branch by, but then branch by nothing.

    p4c of 2026 writes such parsers (docs/tofino.md), and the assembler only warns of some of them.
    """
    for gress in ("ingress", "egress"):
        parser = re.search(rf"^parser {gress}:\n(.*?)^\w", assembly, re.MULTILINE | re.DOTALL)
        if parser and "load: {" in parser[1] and not re.search(r"match: \[[^]]*\b(half|byte)", parser[1]):
            raise BuildError(f"the compiler has lost the branches of the {gress} parser in {what}")


def run(command: list[str], root: Path) -> None:
    """Runs a command within the source folder. Raises BuildError with the end of what it wrote if it fails."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"{command[0]} failed with exit code {done.returncode} on {command[-1]}:\n"
            f"{(done.stderr + done.stdout)[-3000:]}"
        )


def reduce(pipe: Path) -> dict[str, Any]:
    """What matters of the compiler's reports in `pipe`/logs: for each stage its memories and units, and containers.

    Stages run from 0; memories are counted in blocks, containers in those that hold anything.
    """
    resources = json.loads((pipe / "logs" / "resources.json").read_text())["resources"]
    containers = json.loads((pipe / "logs" / "phv.json").read_text())["containers"]
    stages = [of_stage(stage) for stage in resources["mau"]["mau_stages"]]
    capacity = of_capacity(resources["mau"]["mau_stages"][0])
    used = [number for number, stage in enumerate(stages) if stage["tables"]]
    phv = Counter(f"{each['container_type']} {each['bit_width']}" for each in containers if each["slices"])
    available = {
        f"{kind} {group['width']}": group["units"]
        for kind, groups in resources["phv_containers"].items()
        for group in groups
    }
    return {
        "stages": max(used) + 1,
        "capacity_of_a_stage": capacity,
        "by_stage": {str(number): stages[number] for number in used},
        "containers": {kind: [phv.get(kind, 0), units] for kind, units in sorted(available.items())},
    }


UNITS = {
    "sram": ("rams", "srams"),
    "tcam": ("tcams", "tcams"),
    "map_ram": ("map_rams", "maprams"),
    "hash_bits": ("hash_bits", "bits"),
    "gateways": ("gateways", "gateways"),
    "statistics_alus": ("statistic_alus", "stats"),
    "instructions": ("vliw", "instructions"),
    "tables": ("logical_tables", "ids"),
}


def of_stage(stage: dict[str, Any]) -> dict[str, int]:
    """How many of each unit a stage uses. Stateful ALUs, meters and selectors are of one kind."""
    found = {name: len(stage[kind][units]) for name, (kind, units) in UNITS.items()}
    uses = [use["used_for"] for meter in stage["meter_alus"]["meters"] for use in meter["usages"][:1]]
    found["meter_alus"] = len(uses)
    found["stateful_alus"] = sum(use.startswith("stateful") for use in uses)
    return found


def of_capacity(stage: dict[str, Any]) -> dict[str, int]:
    """How many of each memory and unit a stage has."""
    return {
        "sram": stage["rams"]["nRows"] * stage["rams"]["nColumns"],
        "tcam": stage["tcams"]["nRows"] * stage["tcams"]["nColumns"],
        "map_ram": stage["map_rams"]["nRows"] * stage["map_rams"]["nUnits"],
        "hash_bits": stage["hash_bits"]["nBits"] * stage["hash_bits"]["nFunctions"],
        "gateways": stage["gateways"]["nRows"] * stage["gateways"]["nUnits"],
        "statistics_alus": stage["statistic_alus"]["nAlus"],
        "instructions": stage["vliw"]["size"],
        "tables": stage["logical_tables"]["size"],
        "meter_alus": stage["meter_alus"]["nAlus"],
        "stateful_alus": stage["meter_alus"]["nAlus"],
    }


TITLES = {
    "sram": "SRAM blocks",
    "tcam": "TCAM blocks",
    "map_ram": "map RAMs",
    "hash_bits": "hash bits",
    "meter_alus": "meter, selector and stateful ALUs",
    "stateful_alus": "of these stateful",
    "statistics_alus": "statistics ALUs",
    "gateways": "gateways",
    "instructions": "instruction slots",
    "tables": "logical tables",
}


def fit_table(root: Path) -> str:
    """The table of docs/tofino.md, in Markdown, from the committed reports: a column for each pipe."""
    reports = [json.loads((each.out(root) / REPORT).read_text()) for each in BUILDS]
    columns = [(each, name, pipe) for each in reports for name, pipe in each["pipes"].items()]
    chips = [each["chip"] for each, _, _ in columns]
    pipes = [pipe for _, _, pipe in columns]
    lines = [row(["", *(title(each, name) for each, name, _ in columns)])]
    lines.append("|---|" + "---|" * len(columns))
    lines.append(
        row(["stages", *(f"{pipe['stages']} of {chip_stages(chip)}" for chip, pipe in zip(chips, pipes, strict=True))])
    )
    for name, line in TITLES.items():
        lines.append(row([line, *(of_all(pipe, name, chip) for chip, pipe in zip(chips, pipes, strict=True))]))
    for width in (8, 16, 32):
        lines.append(row([f"{width}-bit containers", *(of_containers(pipe, width) for pipe in pipes)]))
    return "\n".join(lines) + "\n"


SIZED = {
    "scale_up": "map-cache, Scale-Up: accelerators",
    "scale_out_ipv4": "map-cache, IPv4 EID-prefixes",
    "scale_out_ipv6": "map-cache, IPv6 EID-prefixes",
    "rloc_set": "RLOC-sets",
    "rloc_selector_members": "their members, together",
    "underlay_ipv4": "underlay, IPv4 routes",
    "underlay_ipv6": "underlay, IPv6 routes",
    "instance": "Instance-IDs",
    "multicast_source": "multicast, sources of a group",
    "multicast_group": "multicast, groups",
    "replica": "receivers of copies",
}


def size_table(root: Path) -> str:
    """Entries of the tables of profile `forwarding`, in Markdown, from the committed P4Info: a column for each chip."""
    builds = [each for each in BUILDS if each.profile == "forwarding"]
    infos = [text_format.Parse((each.out(root) / P4INFO).read_text(), p4info_pb2.P4Info()) for each in builds]
    sizes = [
        {table.preamble.alias: table.size for table in info.tables}
        | {profile.preamble.alias: profile.size for profile in info.action_profiles}
        for info in infos
    ]
    lines = [row(["", *(each.chip.name for each in builds)]), "|---|" + "---|" * len(builds)]
    lines += [row([line, *(f"{size[name]:,}".replace(",", " ") for size in sizes)]) for name, line in SIZED.items()]
    return "\n".join(lines) + "\n"


def title(report: dict[str, Any], pipe: str) -> str:
    """Head of a pipe's column: the pipe is named where the program has several."""
    names = [report["profile"], report["chip"]]
    return ", ".join([*names, pipe.replace("_", " ")] if len(report["pipes"]) > 1 else names)


def row(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def chip_stages(name: str) -> int:
    """Stages of a pipe of the chip called `name`."""
    return next(chip.stages for chip in (TOFINO_1, TOFINO_2) if chip.name == name)


def of_all(pipe: dict[str, Any], name: str, chip: str) -> str:
    """`used of available` over all stages of a pipe of the chip called `chip`."""
    used = sum(stage[name] for stage in pipe["by_stage"].values())
    return f"{used} of {pipe['capacity_of_a_stage'][name] * chip_stages(chip)}"


def of_containers(pipe: dict[str, Any], width: int) -> str:
    """`used of available` containers of a width, of every kind."""
    kinds = [counts for kind, counts in pipe["containers"].items() if kind.endswith(f" {width}")]
    return f"{sum(used for used, _ in kinds)} of {sum(units for _, units in kinds)}"


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.stdout.write(f"{fit_table(here)}\n{size_table(here)}")
