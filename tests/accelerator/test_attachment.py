"""Frames over each kind of attachment, against what stands at the other end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from accelerator.attachment import Attachment, InterfaceAttachment, PacketAttachment, UdpAttachment, UnixAttachment
from accelerator.interface import Interface
from accelerator.links import Link, publish_links
from softswitch.ports import SequencePort

MAC, ROUTER = bytes.fromhex("020000000001"), bytes.fromhex("020100010002")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.002)


def collect(attachment: Attachment) -> list[bytes]:
    got: list[bytes] = []

    def receive(packets: Sequence[bytes]) -> None:
        got.extend(packets)

    attachment.open(receive)
    return got


def link_in(folder: Path) -> Link:
    return publish_links(folder / "control.sock", "acc1", MAC, {"A1": ROUTER})[0]


async def test_a_burst_over_unix_sockets_arrives_whole_in_both_directions(tmp_path: Path) -> None:
    """Far more than the ten datagrams that the kernel lets wait."""
    link = link_in(tmp_path)
    attachment, port = UnixAttachment(link), SequencePort(link.socket, listen=True)
    at_switch: list[bytes] = []
    port.open(at_switch.append)
    at_host = collect(attachment)
    await until(lambda: port.is_up)
    burst = [number.to_bytes(4, "big") * 80 for number in range(1000)]
    attachment.send(burst)
    for frame in burst:
        port.send(frame)
    await until(lambda: len(at_switch) == len(at_host) == 1000)
    assert at_switch == at_host == burst
    assert attachment.lost == 0
    attachment.close()
    await until(lambda: not port.is_up)
    port.close()


async def test_a_switch_that_is_not_there_loses_packets_and_one_that_comes_back_gets_them(tmp_path: Path) -> None:
    link = link_in(tmp_path)
    attachment = UnixAttachment(link)
    collect(attachment)
    attachment.send([b"nobody", b"there"])
    assert attachment.lost == 2
    for text in (b"first", b"second"):
        port = SequencePort(link.socket, listen=True)
        got: list[bytes] = []
        port.open(got.append)
        for _ in range(2):  # the first may find the old socket gone
            attachment.send([text])
        await until(lambda got=got: bool(got))  # type: ignore[misc]
        assert got[-1] == text
        port.close()
    attachment.close()


async def test_one_process_is_an_accelerator(tmp_path: Path) -> None:
    link = link_in(tmp_path)
    Path(link.lock).touch()  # noqa: ASYNC240 - takes over what a dead process left
    attachment = UnixAttachment(link)
    collect(attachment)
    with pytest.raises(OSError, match="another process is this accelerator"):
        UnixAttachment(link).open(lambda packets: None)
    attachment.close()
    attachment.open(lambda packets: None)
    attachment.close()


async def test_udp_takes_datagrams_of_its_group_only() -> None:
    here = ip_address("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as group, socket.socket(type=socket.SOCK_DGRAM) as other:
        group.bind(("127.0.0.1", 0))
        attachment = UdpAttachment((here, 0), (here, group.getsockname()[1]))
        got = collect(attachment)
        attachment.send([b"a", b"b"])
        assert attachment.mac is None
        data, address = group.recvfrom(100)
        assert (data, group.recv(100)) == (b"a", b"b")
        other.sendto(b"foreign", address)
        group.sendto(b"result", address)
        await until(lambda: bool(got))
        assert got == [b"result"]
        attachment.close()


async def test_an_interface_in_this_process_is_tapped() -> None:
    sent: list[bytes] = []
    handled: list[bytes] = []
    interface = Interface(MAC)
    interface.attach(lambda frame: None, bytes(6))
    interface.attach(sent.append, ROUTER)
    interface.handle(0x88B5, handled.append)
    attachment = InterfaceAttachment(interface, ROUTER, lambda frame: frame[14:] == b"mine")
    got = collect(attachment)
    attachment.send([b"out"])
    mine, other = (MAC + ROUTER + b"\x88\xb5" + text for text in (b"mine", b"other"))
    interface.receive(mine)
    interface.receive(other)
    await asyncio.sleep(0)
    assert (sent, got, handled) == ([b"out"], [mine], [b"other"])
    attachment.close()
    interface.receive(mine)
    assert handled == [b"other", b"mine"]
    with pytest.raises(OSError, match="00:00:00:00:00:09: 02:00:00:00:00:01 has no link there"):
        InterfaceAttachment(interface, bytes(5) + b"\x09", lambda frame: True).open(lambda packets: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
async def test_frames_over_a_network_interface() -> None:
    """The loopback interface gives back what is sent on it."""
    attachment = PacketAttachment("lo", 0x88B5)
    got = collect(attachment)
    frame = bytes(12) + b"\x88\xb5" + bytes(46)
    attachment.send([frame])
    await until(lambda: bool(got))
    assert got[0] == frame
    assert attachment.mac == bytes(6)
    attachment.close()
