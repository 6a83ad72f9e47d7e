"""Port back ends: each must carry packets whole, in order, both ways."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from softswitch.ports import (
    DatagramPort,
    HostPort,
    InterfacePort,
    PcapPort,
    PcapWriter,
    Port,
    PortError,
    SequencePort,
    make_link,
    read_pcap,
)
from tests.softswitch.engine.support import until

PACKETS = [b"first", bytes(range(256)) * 5, b"\0" * 60, b"last"]


async def exchange(a: Port, b: Port, packets: list[bytes]) -> None:
    """Both ways at once, over two open ports that face each other."""
    at_a: list[bytes] = []
    at_b: list[bytes] = []
    a.open(at_a.append)
    b.open(at_b.append)
    await until(lambda: a.is_up and b.is_up)
    for packet in packets:
        a.send(packet)
        b.send(packet[::-1])
    await until(lambda: len(at_a) == len(at_b) == len(packets))
    assert at_b == packets
    assert at_a == [packet[::-1] for packet in packets]
    a.close()
    b.close()
    assert not a.is_up
    a.send(b"lost")
    b.send(b"lost")
    a.close()


async def test_a_link() -> None:
    await exchange(*make_link(), PACKETS)


async def test_a_link_that_is_cut_carries_nothing() -> None:
    a, b = make_link("cable")
    received: list[bytes] = []
    a.open(received.append)
    b.open(received.append)
    a.set_enabled(False)
    assert (a.is_up, b.is_up) == (False, False)
    b.send(b"x")
    a.set_enabled(True)
    b.send(b"y")
    assert received == [b"y"]
    assert (a.name, b.name) == ("cable.a", "cable.b")


async def test_datagram_sockets(tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    await exchange(DatagramPort(a, b), DatagramPort(b, a), PACKETS)
    assert os.listdir(tmp_path) == []


async def test_a_datagram_port_survives_a_peer_that_comes_and_goes(tmp_path: Path) -> None:
    received: list[bytes] = []
    port = DatagramPort(str(tmp_path / "switch"), str(tmp_path / "host"))
    port.open(received.append)
    assert not port.is_up
    port.send(b"to nobody")
    assert port.lost == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as host:
        host.bind(str(tmp_path / "host"))
        assert port.is_up
        port.send(b"to the host")
        assert host.recv(100) == b"to the host"
        host.sendto(b"to the switch", str(tmp_path / "switch"))
        await until(lambda: received)
    assert received == [b"to the switch"]
    port.close()


async def test_sequence_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "port")
    await exchange(SequencePort(path, listen=True), SequencePort(path, listen=False), PACKETS)
    assert os.listdir(tmp_path) == []


async def test_a_listener_takes_the_next_peer_when_one_has_gone(tmp_path: Path) -> None:
    received: list[bytes] = []
    port = SequencePort(str(tmp_path / "port"), listen=True)
    port.open(received.append)
    for count, word in enumerate((b"one", b"two"), start=1):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(str(tmp_path / "port"))
            await until(lambda: port.is_up)
            peer.send(word)
            await until(lambda count=count: len(received) == count)  # type: ignore[misc]
            port.send(b"back")
            assert peer.recv(100) == b"back"
        await until(lambda: not port.is_up)
    assert received == [b"one", b"two"]
    port.close()


async def test_what_a_peer_does_not_take_at_once_waits(tmp_path: Path) -> None:
    port = SequencePort(str(tmp_path / "port"), listen=True)
    port.open(lambda packet: None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(str(tmp_path / "port"))
        await until(lambda: port.is_up)
        burst = [number.to_bytes(2, "big") * 1000 for number in range(3000)]
        for packet in burst:
            port.send(packet)
        assert port.lost == 0
        assert await asyncio.to_thread(lambda: [peer.recv(4000) for _ in burst]) == burst
        for _ in range(10):  # more than anything lets wait
            for packet in burst:
                port.send(packet)
        assert port.lost > 0
    await until(lambda: not port.is_up)
    port.close()


async def test_a_stale_socket_is_replaced_but_a_file_is_not(tmp_path: Path) -> None:
    stale, file = tmp_path / "stale", tmp_path / "file"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(stale))
    port = DatagramPort(str(stale), str(tmp_path / "peer"))
    port.open(lambda packet: None)
    port.close()
    file.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        SequencePort(str(file), listen=True).open(lambda packet: None)
    assert file.read_text() == "precious"


async def test_a_host_port_shields_the_switch_from_its_host(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_packet: bytes) -> None:
        raise RuntimeError("the host has failed")

    received: list[bytes] = []
    port = HostPort("h", on_packet=fail)
    port.deliver(b"too early")
    port.open(received.append)
    port.send(b"x")
    port.deliver(b"y")
    assert "the host has failed" in caplog.text
    assert received == [b"y"]


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    """Two interfaces joined by a cable; needs root."""
    names = (f"sw{os.getpid() % 100000}a", f"sw{os.getpid() % 100000}b")
    ip = shutil.which("ip")
    if os.geteuid() != 0 or ip is None:
        pytest.skip("needs root and iproute2")
    made = subprocess.run(
        [ip, "link", "add", names[0], "type", "veth", "peer", "name", names[1]], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no virtual interfaces here: {made.stderr.decode().strip()}")
    for name in names:
        path = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        if path.exists():
            path.write_text("1")  # keeps the kernel's own packets away
        subprocess.run([ip, "link", "set", name, "up"], check=True)
    yield names
    subprocess.run([ip, "link", "del", names[0]], check=True)


async def test_interfaces(veth: tuple[str, str]) -> None:
    frames = [bytes.fromhex("ffffffffffff 020000000001 88b5") + packet[:1400].ljust(46, b"\0") for packet in PACKETS]
    tagged = frames[0][:12] + bytes.fromhex("8100 0064") + frames[0][12:]
    a, b = (InterfacePort(name) for name in veth)
    at_b: list[bytes] = []
    a.open(lambda packet: None)
    b.open(at_b.append)
    await until(lambda: a.is_up and b.is_up)
    for frame in [*frames, tagged]:
        a.send(frame)
    await until(lambda: len(at_b) == len(frames) + 1)
    assert at_b == [*frames, tagged]
    a.send(b"x" * 9000)  # more than the interface takes
    assert a.lost == 1
    a.close()
    b.close()


async def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(OSError, match=r"interface|permitted"):
        InterfacePort("nosuchif0").open(lambda packet: None)


def test_pcap_files_made_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "other.pcap"
    wrpcap(str(path), [Raw(packet) for packet in PACKETS], linktype=1)
    assert [packet.data for packet in read_pcap(path)] == PACKETS


@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_files_are_understood_elsewhere(tmp_path: Path, nanoseconds: bool) -> None:
    path = tmp_path / "own.pcap"
    with PcapWriter(path, nanoseconds=nanoseconds) as writer:
        for i, packet in enumerate(PACKETS):
            writer.write(packet, 1_700_000_000_123_456_000 + i * 1_000_000)
    assert [bytes(packet.original) for packet in rdpcap(str(path))] == PACKETS


@settings(max_examples=60, deadline=None)
@given(
    packets=st.lists(
        st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, 999_999_999), st.binary(max_size=80)), max_size=5
    ),
    order=st.sampled_from("<>"),
    nanoseconds=st.booleans(),
    cut=st.integers(0, 400),
)
def test_pcap_of_every_kind_reads_back_or_says_where_it_ends(
    tmp_path_factory: pytest.TempPathFactory,
    packets: list[tuple[int, int, bytes]],
    order: str,
    nanoseconds: bool,
    cut: int,
) -> None:
    path = tmp_path_factory.mktemp("pcap") / "file"
    unit = 1 if nanoseconds else 1000
    octets = struct.pack(f"{order}IHHiIII", 0xA1B23C4D if nanoseconds else 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for seconds, fraction, data in packets:
        octets += struct.pack(f"{order}IIII", seconds, fraction // unit, len(data), len(data)) + data
    path.write_bytes(octets)
    assert [(p.timestamp_ns, p.data) for p in read_pcap(path)] == [
        (seconds * 1_000_000_000 + fraction // unit * unit, data) for seconds, fraction, data in packets
    ]
    path.write_bytes(octets[:cut])
    read, complaint = read_until_error(path)
    assert read == [data for _, _, data in packets][: len(read)]
    assert complaint is None or (cut < len(octets) and complaint.startswith(str(path)))


def read_until_error(path: Path) -> tuple[list[bytes], str | None]:
    """The packets before the error, and what it says."""
    read: list[bytes] = []
    try:
        read.extend(packet.data for packet in read_pcap(path))
    except PortError as error:
        return read, str(error)
    return read, None


def test_a_port_on_files(tmp_path: Path) -> None:
    with PcapWriter(tmp_path / "in") as writer:
        for packet in PACKETS:
            writer.write(packet, 0)
    received: list[bytes] = []
    port = PcapPort(tmp_path / "in", tmp_path / "out", nanoseconds=True, clock=lambda: 1_000_000_007)
    assert port.replay() == 0
    port.open(received.append)
    assert port.replay() == len(PACKETS)
    assert received == PACKETS
    port.send(b"reply")
    port.close()
    port.send(b"too late")
    assert list(read_pcap(tmp_path / "out")) == [(1_000_000_007, b"reply")]
    assert port.lost == 1
