"""The command line: a real process, reached by gRPC and by its ports; and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import pytest
from p4.v1 import p4runtime_pb2 as p4rt
from p4.v1 import p4runtime_pb2_grpc

from softswitch.cli import main
from softswitch.ports import PcapWriter, read_pcap
from tests.softswitch.p4runtime.p4 import PROGRAMS, insert, load
from tests.softswitch.p4runtime.rig import Controller

EDGE_JSON, EDGE_P4INFO = str(PROGRAMS / "edge.json"), str(PROGRAMS / "edge.p4info.txtpb")
EDGE = load("edge")
FRAME = bytes.fromhex("00000000000a 000000000001 88b5") + b"payload"


@contextmanager
def process(*arguments: str) -> Iterator[str]:
    """A running softswitch and the address it says it listens on; it must end with 0 when told to."""
    command = [sys.executable, "-m", "softswitch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            first = child.stdout.readline()
            if not first.startswith("Server listening on "):
                pytest.fail(f"{first}{child.communicate(timeout=10)[1]}")
            yield first.removeprefix("Server listening on ").strip()
        finally:
            child.send_signal(signal.SIGTERM)
            output, complaints = child.communicate(timeout=10)
    assert child.returncode == 0, output + complaints
    assert complaints == ""


@asynccontextmanager
async def primary(address: str, device_id: int) -> AsyncIterator[Controller]:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = p4runtime_pb2_grpc.P4RuntimeStub(channel)  # type: ignore[no-untyped-call]
        controller = Controller(stub, device_id=device_id)
        await controller.become(1)
        yield controller


def captured(folder: Path, port: str) -> tuple[list[bytes], list[bytes]]:
    """What a port of the folder received and sent."""
    stem = f"{folder}/{port}".strip("/").replace("/", "_")
    received, sent = (read_pcap(folder / f"{stem}_{way}.pcap") for way in ("in", "out"))
    return [packet.data for packet in received], [packet.data for packet in sent]


async def test_a_switch_with_program_and_p4info(tmp_path: Path) -> None:
    ports = [f"{number}@unix:{tmp_path}/port{number}" for number in (1, 2)]
    interfaces = [argument for port in ports for argument in ("-i", port)]
    options = ["--json", EDGE_JSON, "--p4info", EDGE_P4INFO, "--device-id", "3", "--pcap", str(tmp_path)]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second,
        process(*interfaces, *options, "--grpc-server-addr", "127.0.0.1:0") as address,
    ):
        first.bind(f"{tmp_path}/port1.peer")
        second.bind(f"{tmp_path}/port2.peer")
        second.settimeout(5)
        async with primary(address, 3) as controller:
            await controller.write(insert(EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("forward", 2))))
            first.sendto(FRAME, f"{tmp_path}/port1")
            assert second.recv(2000) == FRAME
    assert captured(tmp_path, "port1") == ([FRAME], [])
    assert captured(tmp_path, "port2") == ([], [FRAME])


async def test_the_command_line_of_simple_switch_grpc(tmp_path: Path) -> None:
    arguments = ["--device-id", "1", "--log-console", "-L", "warn", "--no-p4", "--"]
    target_options = ["--grpc-server-addr", f"unix:{tmp_path}/grpc", "--cpu-port", "510", "--drop-port", "509"]
    with process(*arguments, *target_options) as address:
        async with primary(address, 1) as controller:
            await controller.set_pipeline("VERIFY_AND_COMMIT", EDGE.config)
            await controller.send(p4rt.StreamMessageRequest(packet=p4rt.PacketOut(payload=FRAME)))
            assert "is missing" in (await controller.receive("error")).error.message


async def test_packet_files_and_a_log_of_every_step(tmp_path: Path) -> None:
    program = tmp_path / "balance.json"
    program.write_bytes(load("balance").json)
    with PcapWriter(tmp_path / "in.pcap") as writer:
        writer.write(b"\x01\x09\x00\x00", 0)
    log = tmp_path / "log"
    port = f"4@pcap:{tmp_path}/in.pcap,{tmp_path}/out.pcap"
    with process("-i", port, "--log-file", str(log), str(program), "--", "--grpc-server-addr", f"unix:{tmp_path}/grpc"):
        for _ in range(100):
            if "received on port 4" in log.read_text():
                break
            await asyncio.sleep(0.05)
    assert "[TRACE]" in log.read_text()
    # No entry, so egress_spec stays 0, and there is no port 0.
    assert list(read_pcap(tmp_path / "out.pcap")) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give either the JSON file of a program or --no-p4"),
        (["--no-p4", EDGE_JSON], "give either"),
        ([EDGE_JSON, "--json", EDGE_JSON], "given twice"),
        (["--no-p4", "--p4info", EDGE_P4INFO], "needs the JSON file"),
        (["--no-p4", "--thrift-port", "9090"], "--thrift-port"),
        (["--no-p4", "--device-id", "x"], "--device-id"),
        (["--no-p4", "--cpu-port", "0"], "--cpu-port"),
        (["--no-p4", "--drop-port", "512"], "--drop-port"),
        (["--no-p4", "-L", "loud"], "'loud'"),
        (["--no-p4", "--log-console", "--log-file", "x"], "exclude each other"),
        (["--no-p4", "--log-file", "/nonexistent/log"], "/nonexistent/log: No such file or directory"),
        (["missing.json"], "missing.json: No such file or directory"),
        ([EDGE_P4INFO], "edge.p4info.txtpb: document: is not JSON"),
        ([EDGE_JSON, "--p4info", EDGE_JSON], "edge.json: 1:1"),
        ([EDGE_JSON, "--p4info", str(PROGRAMS / "balance.p4info.txtpb")], "does not fit"),
        (["--no-p4", "-i", "1"], "'1' is not of the form PORT@INTERFACE"),
        (["--no-p4", "-i", "1@"], "'1@' is not of the form"),
        (["--no-p4", "-i", "one@veth0"], "the port 'one' is not a number"),
        (["--no-p4", "-i", "1@tcp:x"], "'tcp' is neither unix nor pcap"),
        (["--no-p4", "-i", "1@unix:"], "the path is missing"),
        (["--no-p4", "-i", "1@unix:/nonexistent/x"], "port 1: cannot open /nonexistent/x"),
        (["--no-p4", "-i", "600@pcap:a"], "port number 600"),
        (["--no-p4", "--", "--grpc-server-addr", "unix:/nonexistent/x"], "there is no folder /nonexistent"),
        (["--no-p4", "--", "--grpc-server-addr", "9559"], "not of the form HOST:PORT"),
        (["--no-p4", "--", "--grpc-server-addr", "192.0.2.1:9559"], "cannot listen on 192.0.2.1:9559: "),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    arguments: Sequence[str], complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("softswitch: ")
    assert complaint in line


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for argument in ("--version", "--help"):
        with pytest.raises(SystemExit) as caught:
            main([argument])
        assert caught.value.code == 0
    assert "--grpc-server-addr" in capsys.readouterr().out
