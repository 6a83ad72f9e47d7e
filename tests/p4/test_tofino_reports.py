"""The committed reports of the compiler for Tofino are of today's sources, and the document says what they say."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from p4.config.v1 import p4info_pb2

from controller.dataplane import codepoints
from p4src import manifest, tofino

ROOT = Path(__file__).resolve().parents[2]
P4SRC = ROOT / "p4src"
FIRST = tofino.BUILDS[0]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources and reports that a test may spoil."""
    return Path(shutil.copytree(P4SRC, tmp_path / "p4src"))


def test_the_reports_fit_the_sources() -> None:
    tofino.check(P4SRC)


@pytest.mark.parametrize("name", ["stages/underlay.p4", "tna/verdict.p4", FIRST.main])
def test_a_changed_source_is_noticed(copy: Path, name: str) -> None:
    (copy / name).write_text((copy / name).read_text() + "// changed\n")
    with pytest.raises(manifest.BuildError, match=rf"compiled/tna/forwarding.*{name}; run `make p4`"):
        tofino.check(copy)


def test_a_changed_report_is_noticed(copy: Path) -> None:
    (FIRST.out(copy) / tofino.REPORT).write_text("{}")
    with pytest.raises(manifest.BuildError, match=r"report\.json"):
        tofino.check(copy)


def test_what_a_profile_does_not_include_leaves_it_alone(copy: Path) -> None:
    (copy / "v1model" / "arch.p4").write_text("// changed\n")
    tofino.check(copy)


def test_without_a_compiler_it_says_so_and_goes_on(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("P4C_BAREFOOT", "BFAS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    (copy / "tna" / "verdict.p4").write_text("// changed\n")
    tofino.build(copy)
    assert f"NOT COMPILED FOR {FIRST.chip.name}: profile {FIRST.profile}" in capsys.readouterr().err


def test_a_failure_of_the_compiler_is_an_error(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "p4c-barefoot"
    broken.write_text("#!/bin/sh\necho no stage is left >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("P4C_BAREFOOT", str(broken))
    monkeypatch.setenv("BFAS", str(broken))
    with pytest.raises(manifest.BuildError, match=r"exit code 1 on tna/profiles/.*\n.*no stage is left"):
        tofino.build(copy, everything=True)


@pytest.mark.parametrize("build", tofino.BUILDS, ids=lambda build: f"{build.profile}-{build.chip.target}")
class TestReport:
    def test_the_program_fits_the_chip(self, build: tofino.Build) -> None:
        report = json.loads((build.out(P4SRC) / tofino.REPORT).read_text())
        for pipe in report["pipes"].values():
            assert 0 < pipe["stages"] <= build.chip.stages
            for number, stage in pipe["by_stage"].items():
                for name, available in pipe["capacity_of_a_stage"].items():
                    assert stage[name] <= available, (number, name)
            assert all(used <= units for used, units in pipe["containers"].values())

    def test_the_assembler_has_written_a_binary(self, build: tofino.Build) -> None:
        report = json.loads((build.out(P4SRC) / tofino.REPORT).read_text())
        assert report["pipes"]
        for pipe in report["pipes"].values():
            assert pipe["binaries"]
            assert all(size > 100_000 for size in pipe["binaries"].values())

    def test_the_controller_finds_the_tables_that_it_knows(self, build: tofino.Build) -> None:
        mine = text_format.Parse((build.out(P4SRC) / tofino.P4INFO).read_text(), p4info_pb2.P4Info())
        theirs = text_format.Parse(
            (P4SRC / "compiled" / "v1model" / "fabric.p4info.txtpb").read_text(), p4info_pb2.P4Info()
        )
        if build.profile != "collectives":  # only one table there is the controller's
            codepoints.check(mine)

        def keys(info: p4info_pb2.P4Info) -> dict[str, list[str]]:
            return {
                table.preamble.alias: [field.name for field in table.match_fields]
                for table in info.tables
                if not table.is_const_table
            }

        collectives = {"collective", "contributor", "collective_copy"}
        served = {
            "forwarding": keys(theirs).keys() - collectives,
            "full": keys(theirs).keys(),
            "collectives": {"contributor"},
        }
        assert keys(mine) == {name: key for name, key in keys(theirs).items() if name in served[build.profile]}


def crc(polynomial: int, data: bytes) -> int:
    """CRC of 32 bits, reflected, without initial value: linear in `data`."""
    reflected = int(f"{polynomial:032b}"[::-1], 2)
    value = 0
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (reflected if value & 1 else 0)
    return value


def rank(rows: list[int]) -> int:
    """Rank over GF(2) of a matrix with these rows."""
    basis: dict[int, int] = {}
    for row in rows:
        rest = row
        while rest and rest.bit_length() in basis:
            rest ^= basis[rest.bit_length()]
        if rest:
            basis[rest.bit_length()] = rest
    return len(basis)


@pytest.mark.parametrize("shift", [0, 16], ids=["locator", "path"])
def test_the_choices_of_three_hops_are_independent(shift: int) -> None:
    """Even where flows differ in their ports alone: eight bits of each of three polynomials have joint rank 24."""
    text = (P4SRC / "tna" / "arch.p4").read_text()
    polynomials = [0x04C11DB7, *(int(found, 16) for found in re.findall(r"CRCPolynomial<bit<32>>\(32w0x(\w+)", text))]
    assert len(polynomials) == 3
    source, destination, protocol, ports, queue_pair = 16, 16, 1, 4, 3
    first = source + destination + protocol
    octets = first + ports + queue_pair
    rows = []
    for bit in range(8 * ports):
        data = bytearray(octets)
        data[first + bit // 8] = 1 << bit % 8
        choices = [crc(polynomial, bytes(data)) >> shift & 0xFF for polynomial in polynomials]
        rows.append(choices[0] << 16 | choices[1] << 8 | choices[2])
    assert rank(rows) == 24


def test_the_document_says_what_the_reports_say() -> None:
    text = (ROOT / "docs" / "tofino.md").read_text()
    assert tofino.fit_table(P4SRC) in text, "docs/tofino.md is behind: python -m p4src.tofino"
    assert tofino.size_table(P4SRC) in text, "docs/tofino.md is behind: python -m p4src.tofino"


BRANCHES = """parser ingress:
  states:
    start:
      *:
        load: {{ byte1 : 0 }}
        next: parse_ethernet
    parse_ethernet:
{match}      *:
        next: end
deparser ingress:
"""


def test_a_parser_that_branches_by_nothing_is_refused() -> None:
    tofino.check_branches(BRANCHES.format(match="      match: [ byte1 ]\n"), "pipe of main")
    with pytest.raises(manifest.BuildError, match="branches of the ingress parser in pipe of main"):
        tofino.check_branches(BRANCHES.format(match=""), "pipe of main")
    with pytest.raises(manifest.BuildError, match="ingress parser"):
        tofino.check_branches(BRANCHES.format(match="      match: [ ctr_neg, ctr_zero ]\n"), "pipe of main")
