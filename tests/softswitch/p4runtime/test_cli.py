"""The command line: a real process, reached by gRPC and by its ports; and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
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


def bridge(port: int) -> p4rt.Update:
    """The entry that sends the frame to a port."""
    return insert(EDGE.table_entry("bridge", {"dst": 0x0A}, EDGE.action("forward", port)))


async def test_two_processes_split_a_topology(tmp_path: Path) -> None:
    """A frame enters the first process, crosses to the second on a link with a delay, and leaves there."""
    program = ["--json", EDGE_JSON, "--p4info", EDGE_P4INFO]
    left = ["-i", f"1@unix:{tmp_path}/in", "-i", f"2@unix:{tmp_path}/l,{tmp_path}/r,delay=30ms,duplicate=1"]
    right = ["-i", f"7@unix:{tmp_path}/r,{tmp_path}/l,in-loss=0%", "-i", f"8@unix:{tmp_path}/out"]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        process(*left, *program, "--grpc-server-addr", f"unix:{tmp_path}/g1") as first,
        process(*right, *program, "--device-id", "9", "--grpc-server-addr", f"unix:{tmp_path}/g2") as second,
    ):
        receiver.bind(f"{tmp_path}/out.peer")
        receiver.settimeout(5)
        async with primary(first, 0) as one, primary(second, 9) as other:
            await one.write(bridge(2))
            await other.write(bridge(8))
            started = time.monotonic()
            sender.sendto(FRAME, f"{tmp_path}/in")
            assert [receiver.recv(2000), receiver.recv(2000)] == [FRAME, FRAME]
            assert time.monotonic() - started >= 0.03


async def test_several_devices_in_one_process(tmp_path: Path) -> None:
    """Three switches in a row; the log tells at the end what the links did."""
    log = tmp_path / "log"
    interfaces = [
        f"1/1@unix:{tmp_path}/in",
        "1/2@link:2/1,loss=0.5,seed=3,in-delay=1ms",
        "2/2@link:3/1",
        f"3/2@unix:{tmp_path}/out",
    ]
    devices = [argument for number in "123" for argument in ("--device-id", number)]
    options = ["--json", EDGE_JSON, "--p4info", EDGE_P4INFO, "--log-file", str(log), "-L", "info"]
    ports = [argument for interface in interfaces for argument in ("-i", interface)]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        process(*devices, *ports, *options, "--grpc-server-addr", f"unix:{tmp_path}/grpc") as address,
    ):
        receiver.bind(f"{tmp_path}/out.peer")
        receiver.settimeout(5)
        for number in (1, 2, 3):
            async with primary(address, number) as controller:
                await controller.write(bridge(2))
        for index in range(20):
            sender.sendto(FRAME + bytes([index]), f"{tmp_path}/in")
        receiver.settimeout(0.5)
        arrived = []
        with contextlib.suppress(TimeoutError):
            while True:
                arrived.append(receiver.recv(2000)[-1])
    assert arrived == sorted(arrived)
    assert 0 < len(arrived) < 20
    assert f"offered=20, duplicated=0, lost={20 - len(arrived)}" in log.read_text()


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
        (["--no-p4", "-i", "1@tcp:x"], "'tcp' is neither unix nor pcap nor link"),
        (["--no-p4", "-i", "1@unix:"], "the path is missing"),
        (["--no-p4", "-i", "1@unix:/nonexistent/x"], "port 1: cannot open /nonexistent/x"),
        (["--no-p4", "-i", "600@pcap:a"], "port number 600"),
        (["--no-p4", "-i", "1@veth0,delay=2"], "'1@veth0,delay=2': delay=2: '2' is not a number with one of the units"),
        (["--no-p4", "-i", "1@veth0,in-loss=2"], "'1@veth0,in-loss=2': loss 2"),
        (["--no-p4", "-i", "1@veth0,speed=2"], "'speed=2' is not one of delay"),
        (["--no-p4", "-i", "1@veth0,peer"], "'peer' is not an effect with a value"),
        (["--no-p4", "-i", "1@unix:a,b,c"], "'c' is not an effect with a value"),
        (["--no-p4", "-i", "1@link:"], "the port is missing"),
        (["--no-p4", "-i", "1@link:x"], "the port 'x' is not a number"),
        (["--no-p4", "-i", "1@link:1"], "port 1 is taken by"),
        (["--no-p4", "-i", "2/1@pcap:a"], "port 1 of device 2: the devices are 0"),
        (["--no-p4", "-i", "x/1@pcap:a"], "the device 'x' is not a number"),
        (["--no-p4", "--device-id", "1", "--device-id", "2", "-i", "1@pcap:a"], "of which device? Write DEVICE/1"),
        (["--no-p4", "--device-id", "1", "--device-id", "1"], "--device-id 1 is given twice"),
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
