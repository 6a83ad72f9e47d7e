"""Network interfaces served by machine code: packet rings of the kernel."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest

from softswitch.native.runtime.structs import PORT_KIND, RING
from softswitch.ports import InterfacePort
from softswitch.switch import Switch
from tests.softswitch.engine.support import program, until

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2 for veth pairs"
)
_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33


@pytest.fixture
def veths() -> Iterator[list[tuple[str, str]]]:
    """Two pairs: the switch's end and ours."""
    pairs = [(f"nr{os.getpid() % 10000}{letter}0", f"nr{os.getpid() % 10000}{letter}1") for letter in "ab"]
    try:
        for ours, theirs in pairs:
            added = subprocess.run(["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs], check=False)
            if added.returncode:
                pytest.skip("the kernel has no veth pairs")
            for name in (ours, theirs):
                subprocess.run(["ip", "link", "set", name, "up", "mtu", "9000"], check=True)
                subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"], check=False)
        yield pairs
    finally:
        for ours, _ in pairs:
            subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)


class Outside:
    """A raw socket on our end of a pair."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.socket.bind((interface, _ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        self.socket.setblocking(False)

    def frames(self, first: int) -> list[bytes]:
        """What has arrived and begins with an octet: the kernel sends frames of its own."""
        found: list[bytes] = []
        while True:
            try:
                frame, address = self.socket.recvfrom(65536)
            except BlockingIOError:
                return found
            if frame[0] == first and address[2] != socket.PACKET_OUTGOING:
                found.append(frame)


def collect(outside: Outside, frames: list[bytes]) -> bool:
    """Whether there were any."""
    found = outside.frames(0)
    frames += found
    return bool(found)


@needs_root
@pytest.mark.parametrize("octets", [60, 1500, 8000])
async def test_frames_pass_through_rings(veths: list[tuple[str, str]], octets: int) -> None:
    switch = Switch(0, engine="native")
    switch.set_program(program("copies"))
    for number, (ours, _) in enumerate(veths):
        switch.add_port(number, InterfacePort(ours))
        assert switch._memory.view[128 // 8 * number + PORT_KIND // 8] == RING
    a, b = (Outside(theirs) for _, theirs in veths)
    seen: list[bytes] = []
    try:
        for number in range(300):
            a.socket.send(bytes([0, 1]) + bytes(8) + number.to_bytes(4) + bytes(octets - 14))
            if number % 50 == 0:
                await asyncio.sleep(0)
        while len(seen) < 300:
            await until(lambda: collect(b, seen))
        assert [frame[10:14] for frame in seen] == [number.to_bytes(4) for number in range(300)]
        assert {len(frame) for frame in seen} == {octets}
        counters = switch.ports[1].counters
        assert (counters.tx_packets, counters.tx_bytes) == (300, 300 * octets)
        assert switch.ports[0].counters.rx_packets >= 300
        switch.set_program(program("copies"))  # the rings change hands
        b.socket.send(bytes([0, 0]) + bytes(octets - 2))
        await until(lambda: a.frames(0))
    finally:
        a.socket.close()
        b.socket.close()
        switch.close()


@needs_root
async def test_a_tag_is_put_back(veths: list[tuple[str, str]]) -> None:
    """The kernel takes VLAN tags out of what it hands over."""
    switch = Switch(0, engine="native")
    switch.set_program(program("copies"))
    for number, (ours, _) in enumerate(veths):
        switch.add_port(number, InterfacePort(ours))
    a, b = (Outside(theirs) for _, theirs in veths)
    b.socket.setsockopt(263, 8, 1)  # PACKET_AUXDATA
    received: list[bytes] = []
    tagged = bytes([0, 1]) + bytes(10) + bytes.fromhex("8100 0005 0800") + b"x" * 50
    switch.ports[0].port.send(tagged)  # out to us, and back in
    try:
        await until(lambda: collect(a, received))
        a.socket.send(tagged)
        await until(lambda: switch.ports[0].counters.rx_packets)
        assert switch.ports[0].counters.rx_bytes % len(tagged) == 0
        assert switch.ports[1].counters.tx_bytes == len(tagged)
    finally:
        a.socket.close()
        b.socket.close()
        switch.close()
