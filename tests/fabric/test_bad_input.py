"""Whatever arrives on UDP 4342 or at a port: one clear event, nothing accepted is lost, and the fabric goes on."""

from __future__ import annotations

import random
from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest

from controller.lisp import CONTROL_PORT, Datagram, Endpoint, MapRegister
from tests.fabric.observe import Observer, eid

STRANGER = Endpoint(IPv4Address("203.0.113.66"), 4342)


def dropped(fabric: Observer, name: str) -> list[Mapping[str, object]]:
    """What a mapping system or router reported to have refused."""
    process = fabric.fabric.mapping_systems.get(name) or fabric.fabric.routers[name]
    return [noted.event.fields for noted in process.events if noted.event.name == "message-dropped"]


def inject(fabric: Observer, to: str, payload: bytes, source: Endpoint = STRANGER) -> None:
    process = fabric.fabric.mapping_systems.get(to) or fabric.fabric.routers[to]
    fabric.fabric.network.send(Datagram(source, Endpoint(process.address, CONTROL_PORT), payload))


async def still_works(fabric: Observer) -> None:
    before = len(fabric.fabric.hosts["acc7"].received)
    await fabric.walk("acc1", "40.0.0.7")
    assert len(fabric.fabric.hosts["acc7"].received) == before + 1


@pytest.mark.requirement("PR-UDP-2")
async def test_an_unknown_address_family_is_named(own_fabric: Observer) -> None:
    fabric = own_fabric
    good = next(seen for seen in fabric.sent(MapRegister, "D1", "SU-MS-D") if seen.record(eid("40.0.0.7/32")))
    octets = bytearray(good.item.datagram.payload)
    assert octets[42:44] == b"\x40\x03"
    octets[42:44] = (99).to_bytes(2, "big")
    inject(fabric, "SU-MS-D", bytes(octets), good.item.datagram.source)
    await fabric.settle()
    (event,) = dropped(fabric, "SU-MS-D")
    assert "99" in str(event["detail"])
    assert "afi" in str(event["detail"])
    assert "42" in str(event["detail"])
    assert fabric.locators("D3", "40.0.0.7/32") == ["D1", "D2"]
    await still_works(fabric)


@pytest.mark.requirement("PR-AUTH-3", "PR-AUTH-5")
async def test_a_changed_or_repeated_registration_changes_nothing(own_fabric: Observer) -> None:
    fabric = own_fabric
    seen = next(seen for seen in fabric.sent(MapRegister, "D1", "SU-MS-D") if seen.record(eid("40.0.0.7/32")))
    octets = seen.item.datagram.payload
    mark = fabric.mark()
    inject(fabric, "SU-MS-D", octets[:20] + bytes([octets[20] ^ 1]) + octets[21:], seen.item.datagram.source)
    inject(fabric, "SU-MS-D", octets, seen.item.datagram.source)
    await fabric.settle()
    assert len(dropped(fabric, "SU-MS-D")) == 2
    assert [item for item in fabric.seen(mark) if item.source == "SU-MS-D"] == []
    assert fabric.locators("D3", "40.0.0.7/32") == ["D1", "D2"]


async def test_noise_on_the_control_port(own_fabric: Observer) -> None:
    """A thousand datagrams of noise, a third of them with the beginning of a real message."""
    fabric, noise = own_fabric, random.Random(4342)
    views = {name: system.machine.registrations() for name, system in fabric.fabric.mapping_systems.items()}
    caches = {name: router.machine.map_cache() for name, router in fabric.fabric.routers.items()}
    real = [seen.item.datagram.payload for seen in fabric.seen()]
    targets = [*fabric.fabric.mapping_systems, "A1", "A3", "D3"]
    for number in range(1000):
        octets = noise.randbytes(noise.randrange(0, 200))
        if number % 3 == 0:
            start = noise.choice(real)
            octets = start[: noise.randrange(len(start))] + octets
        inject(fabric, noise.choice(targets), octets)
    await fabric.settle()
    assert {name: system.machine.registrations() for name, system in fabric.fabric.mapping_systems.items()} == views
    assert {name: router.machine.map_cache() for name, router in fabric.fabric.routers.items()} == caches
    assert sum(len(dropped(fabric, target)) for target in targets) >= 950
    await still_works(fabric)


async def test_noise_at_an_access_port(own_fabric: Observer) -> None:
    """Frames of noise from an accelerator are dropped and counted; nobody else gets any of them."""
    fabric, noise = own_fabric, random.Random(1)
    send = fabric.fabric.interfaces["acc2"].uplinks[0].send
    for _ in range(200):
        send(noise.randbytes(noise.randrange(0, 120)))
    await fabric.settle()
    assert sum((await fabric.drops("A2")).values()) == 200
    assert all(not host.received and not host.interface.refused for host in fabric.fabric.hosts.values())
    await still_works(fabric)
