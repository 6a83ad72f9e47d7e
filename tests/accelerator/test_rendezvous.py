"""The client of the control socket, against a server that answers as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from accelerator.rendezvous import Descriptor, Rendezvous, RendezvousError

DESCRIPTOR: dict[str, Any] = {
    "group": 7,
    "name": "ring",
    "iid": 8193,
    "carrier": "scale-up",
    "eid": 0x1000,
    "generation": 1,
    "rank": 3,
    "size": 4,
    "slots": 64,
    "values": 64,
    "router_mac": "02:01:00:01:00:02",
    "members": ["acc1", "acc2", "acc3", "acc4"],
    "address": 4,
}

Answer = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(path: Path, answer: Answer) -> Any:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await answer(json.loads(line), writer)

    server = await asyncio.start_unix_server(client, str(path))
    try:
        async with Rendezvous(path) as rendezvous:
            yield rendezvous
    finally:
        server.close()


def reply(writer: asyncio.StreamWriter, request: dict[str, Any], **answer: Any) -> None:
    writer.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode() + b"\n")


async def test_a_member_gets_its_descriptor(tmp_path: Path) -> None:
    asked = []

    async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        asked.append((request["method"], request["params"]))
        reply(writer, request, result=DESCRIPTOR)

    async with serving(tmp_path / "s", answer) as rendezvous:
        descriptor = await rendezvous.join("ring", "acc4")
        assert await rendezvous.wait("ring", "acc4", 9) == descriptor
    assert descriptor.router_mac == bytes.fromhex("020100010002")
    assert (descriptor.rank, descriptor.size, descriptor.members[3], descriptor.eid) == (3, 4, "acc4", 0x1000)
    assert asked == [
        ("incc.join", {"group": "ring", "accelerator": "acc4"}),
        ("incc.wait", {"group": "ring", "accelerator": "acc4", "generation": 9}),
    ]


async def test_answers_come_in_any_order(tmp_path: Path) -> None:
    held: list[dict[str, Any]] = []

    async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        held.append(request)
        if len(held) == 2:
            for one in reversed(held):
                reply(writer, one, result=one["params"]["text"])

    async with serving(tmp_path / "s", answer) as rendezvous:
        first, second = await asyncio.gather(rendezvous.call("a", text="x"), rendezvous.call("b", text="y"))
        assert (first, second) == ("x", "y")


async def test_an_error_names_who_is_lost(tmp_path: Path) -> None:
    async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        error = {"code": -32000, "message": "acc5 died", "data": {"lost": ["acc5"]}}
        reply(writer, request, error=error)

    async with serving(tmp_path / "s", answer) as rendezvous:
        with pytest.raises(RendezvousError, match="acc5 died") as caught:
            await rendezvous.wait("ring", "acc1", 1)
    assert (caught.value.code, caught.value.lost) == (-32000, ("acc5",))


@pytest.mark.parametrize("last", [b"", b"no JSON\n", b"[]\n"])
async def test_calls_fail_when_the_fabric_goes(tmp_path: Path, last: bytes) -> None:
    async def answer(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(last)
        writer.close()

    async with serving(tmp_path / "s", answer) as rendezvous:
        with pytest.raises(RendezvousError, match="control socket"):
            await rendezvous.join("ring", "acc1")
        with pytest.raises(RendezvousError, match="control socket"):
            await rendezvous.join("ring", "acc1")


async def test_no_fabric_is_an_error_that_names_the_socket(tmp_path: Path) -> None:
    with pytest.raises(RendezvousError, match=rf"control socket {tmp_path}/none: No such file"):
        await Rendezvous(tmp_path / "none").open()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": 4}, r"rank = 4: must be in 0\.\.3"),
        ({"rank": "3"}, r"rank = '3'"),
        ({"slots": 0}, "slots = 0"),
        ({"carrier": "ipx"}, "carrier = 'ipx'"),
        ({"carrier": "ipv4", "eid": "10.0.0.1", "address": "2001:db8::1"}, "address = 2001:db8::1"),
        ({"eid": 2**32}, "eid = 4294967296"),
        ({"router_mac": "02:01"}, "router_mac = '02:01'"),
        ({"members": ["acc1"]}, "members"),
        ({"generation": True}, "generation = True"),
    ],
)
def test_a_descriptor_that_makes_no_sense_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RendezvousError, match=message):
        Descriptor.from_json(DESCRIPTOR | changes)


def test_a_descriptor_without_a_field_is_named() -> None:
    with pytest.raises(RendezvousError, match="has no slots"):
        Descriptor.from_json({name: value for name, value in DESCRIPTOR.items() if name != "slots"})


def test_ip_groups() -> None:
    changes = {"carrier": "ipv6", "eid": "2001:db8::ff", "address": "2001:db8::1"}
    assert Descriptor.from_json(DESCRIPTOR | changes).eid == ip_address("2001:db8::ff")
