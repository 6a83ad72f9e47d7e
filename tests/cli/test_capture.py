"""Captures that Wireshark opens, and the dissector that explains our headers to it."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelerator.ethernet import ethernet
from accelerator.scale_up import ETHERTYPE_SCALE_UP, Operation, ScaleUpPacket
from controller.app.cli.capture import DISSECTOR
from controller.app.pcapng import PcapngWriter
from tests.cli.conftest import Commands
from topologies.cli import app

TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="NOT OBSERVED: tshark is not installed")


def tshark(file: Path, *fields: str, lua: bool = True) -> list[list[str]]:
    """The fields of each packet."""
    assert TSHARK is not None
    command = [TSHARK, "-r", str(file), "-T", "fields", *(part for field in fields for part in ("-e", field))]
    command += ["-X", f"lua_script:{DISSECTOR}"] if lua else []
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "error" not in run.stderr.lower(), run.stderr
    return [line.split("\t") for line in run.stdout.splitlines()]


def captured(fabric: Commands, where: str, file: Path | None, count: int, *verb: str) -> str:
    """Captures while a verb is at work."""
    command = [sys.executable, "-m", "topologies.cli", "capture", where, "-c", str(count), "-t", "30"]
    command += ["--control", str(fabric.control), *(["-w", str(file)] if file is not None else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == f"capturing at {where}; Ctrl-C ends\n"
        fabric.ok(*verb)
        said, _ = child.communicate(timeout=40)
    assert child.returncode == 0
    return said


@needs_tshark
def test_a_link_is_captured_with_names_directions_and_comments(fabric: Commands, tmp_path: Path) -> None:
    file = tmp_path / "link.pcapng"
    captured(fabric, "S-A-A1", file, 2, "ping", "acc1", "acc2", "--scale-up", "-c", "1", "-i", "0")
    fields = ("frame.interface_name", "frame.packet_flags_direction", "frame.comment", "lispfabric_scaleup.operation")
    rows = tshark(file, *fields)
    assert len(rows) == 2
    assert {row[0] for row in rows} == {"S-A:1"}
    assert {row[1] for row in rows} == {"0x00000001", "0x00000002"}
    assert any("A1 > S-A  IPv4 192.0.2.1 > 192.0.2.2" in row[2] for row in rows)
    assert {row[3] for row in rows} == {"1", "4"}  # load and response, behind VXLAN-GPE's header


def test_a_switch_is_captured_in_words(fabric: Commands) -> None:
    said = captured(fabric, "A2", None, 4, "ping", "acc1", "acc2", "--scale-up", "-c", "1", "-i", "0")
    assert "A2 > acc2  Scale-Up AccID 1 > 2 load hops 61" in said
    assert "acc2 > A2  Scale-Up AccID 2 > 1 response hops 64" in said


@needs_tshark
def test_control_messages_are_captured(fabric: Commands, tmp_path: Path) -> None:
    file = tmp_path / "control.pcapng"
    captured(fabric, "control", file, 4, "move", "acc6", "C1")
    fabric.ok("move", "acc6", "C2")
    rows = tshark(file, "lisp.type", "udp.dstport", "frame.comment", "_ws.malformed")
    assert {row[1] for row in rows} == {"4342"}
    assert any("Map-Register" in row[2] for row in rows)
    assert all(row[0] and not row[3] for row in rows)


def test_captures_that_cannot_be(fabric: Commands, tmp_path: Path) -> None:
    assert "no such link" in fabric.error("capture", "A1-X", "-c", "1")
    assert "a switch, a link as ONE-OTHER, or control" in fabric.error("capture", "A", "-c", "1")
    missing = tmp_path / "no" / "file"
    assert "No such file or directory" in fabric.error("capture", "A1", "-w", str(missing), "-c", "1")


def incc_packet(flags: int, values: bytes) -> bytes:
    """A contribution as docs/incc.md draws it."""
    return struct.pack("!BBBBHHHHHHiI", 0x10, 0, flags, 3, 7, 0x8001, 5, 2, 0xFFFF, 0xBEEF, -9, 0x12345678) + values


@needs_tshark
def test_the_dissector_explains_collectives(tmp_path: Path) -> None:
    file = tmp_path / "incc.pcapng"
    with file.open("wb") as out:
        writer = PcapngWriter(out)
        interface = writer.add_interface("A1:2", "test")
        for flags, values in ((0x02, struct.pack("!64i", *range(-32, 32))), (0x01, b"")):
            packet = ScaleUpPacket(1, 300, incc_packet(flags, values), Operation.COLLECTIVE, channel=3, next_header=1)
            writer.write(interface, ethernet(bytes(6), bytes(6), ETHERTYPE_SCALE_UP, packet.encode()), 1_000_000_007)
    names = (
        "generation",
        "group",
        "rank",
        "slot",
        "round",
        "target",
        "signature",
        "scale",
        "cookie",
        "empty",
        "overflow",
    )
    fields = ["frame.time_epoch", "lispfabric_scaleup.channel", *(f"lispfabric_incc.{name}" for name in names)]
    rows = tshark(file, *fields, "lispfabric_incc.value", "_ws.col.Info", "_ws.malformed")
    full, empty = rows
    assert full[0].startswith("1.000000007")
    assert full[1:11] == ["3", "3", "7", "32769", "5", "2", "65535", "0xbeef", "-9", "0x12345678"]
    assert [value in ("1", "True") for value in full[11:13]] == [False, True]
    assert full[13].split(",") == [str(value) for value in range(-32, 32)]
    assert full[14] == "contribution group 7 switch 1 slot 5 round 2 sum"
    assert empty[14].endswith("sum empty")
    assert empty[13] == ""
    assert {row[15] for row in rows} == {""}


@needs_tshark
def test_the_dissector_survives_short_frames(tmp_path: Path) -> None:
    file = tmp_path / "short.pcapng"
    whole = ScaleUpPacket(1, 2, incc_packet(0, bytes(256)), Operation.COLLECTIVE, next_header=1).encode()
    with file.open("wb") as out:
        writer = PcapngWriter(out)
        writer.add_interface("x", "test")
        for length in (0, 5, 23, 24, 30, 47, 48, 51):
            writer.write(0, ethernet(bytes(6), bytes(6), ETHERTYPE_SCALE_UP, whole[:length])[: 14 + length], 0)
    rows = tshark(file, "_ws.expert.message")
    assert len(rows) == 8
    assert "Lua Error" not in str(rows)


def test_the_path_of_the_dissector(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dissector"])
    assert Path(result.output.strip()) == DISSECTOR
    result = CliRunner().invoke(app, ["dissector", "--folder", str(tmp_path / "plugins")])
    assert result.exit_code == 0
    assert (tmp_path / "plugins" / DISSECTOR.name).read_text() == DISSECTOR.read_text()


def test_a_packet_needs_its_interface() -> None:
    with pytest.raises(ValueError, match="interface 0: 0 have been declared"):
        PcapngWriter(io.BytesIO()).write(0, b"", 0)
