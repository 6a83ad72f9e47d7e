"""Draft section 4.1: who registers what where, and who is told (Figure 1 right after it came up)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from controller.lisp import (
    AfiList,
    DistinguishedName,
    Eid,
    InstanceId,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapRequest,
    VendorSpecific,
    verify,
)
from controller.p4rt.actions import Action
from controller.p4rt.matches import Exact, Lpm
from tests.fabric.observe import IID, SCALE_UP_IID, Observer, acc, eid, way
from topologies.roles import key_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PODS = {"A": "10.0.0.0/16", "B": "20.0.0.0/16", "C": "30.0.0.0/16", "D": "40.0.0.0/16"}
ACCELERATORS = {
    "10.0.0.1/32": ["A1"],
    "10.0.0.2/32": ["A2"],
    "20.0.0.3/32": ["B1"],
    "20.0.0.4/32": ["B2"],
    "30.0.0.5/32": ["C1"],
    "30.0.0.6/32": ["C2"],
    "40.0.0.7/32": ["D1", "D2"],
    "40.0.0.8/32": ["D1", "D2"],
}


def registrars(fabric: Observer, system: str, wanted: Eid) -> list[str]:
    found = {seen.source for seen in fabric.sent(MapRegister, destination=system) if seen.record(wanted)}
    return sorted(found)


def told(fabric: Observer, system: str, wanted: Eid) -> list[str]:
    """Who received the RLOC-set of an EID in a Map-Notify that acknowledges no registration."""
    registers = {(seen.source, seen.nonce) for seen in fabric.sent(MapRegister)}
    return sorted(
        {
            seen.destination
            for seen in fabric.sent(MapNotify, source=system)
            if (record := seen.record(wanted)) and record.locators
            if (seen.destination, seen.nonce) not in registers
        }
    )


@pytest.mark.requirement("SO-REG-2", "SO-MAP-3", "ARCH-8")
@pytest.mark.parametrize("pod", PODS)
async def test_borders_register_their_subnet_with_the_scale_out_mapping_system(fabric: Observer, pod: str) -> None:
    assert registrars(fabric, "SO-MS", eid(PODS[pod])) == [f"{pod}3", f"{pod}4"]
    merged = next(
        view for view in fabric.fabric.mapping_systems["SO-MS"].machine.registrations() if view.eid == eid(PODS[pod])
    )
    rlocs = [fabric.fabric.name_of(locator.rloc) for locator in merged.locators if locator.rloc]
    assert rlocs == [f"{pod}3", f"{pod}4"]


@pytest.mark.requirement("SO-REG-3")
@pytest.mark.parametrize("pod", PODS)
async def test_borders_register_their_subnet_with_the_mapping_system_of_the_pod(fabric: Observer, pod: str) -> None:
    assert registrars(fabric, f"SU-MS-{pod}", eid(PODS[pod])) == [f"{pod}3", f"{pod}4"]


@pytest.mark.requirement("SO-REG-4", "SO-MAP-4", "SO-SEG-1", "SO-SEG-2", "SO-MAP-2")
async def test_a_registration_octet_by_octet(fabric: Observer) -> None:
    seen = next(seen for seen in fabric.sent(MapRegister, "D1", "SU-MS-D") if seen.record(eid("40.0.0.7/32")))
    octets = seen.item.datagram.payload
    assert seen.item.datagram.destination.port == 4342
    assert octets[0] >> 4 == 3
    word0 = int.from_bytes(octets[:4], "big")
    # P, I, a, M and one record; nothing else.
    assert word0 == 0x3A000501
    assert octets[12:16] == bytes([1, 3, 0, 16])  # Key ID 1, HMAC-SHA256-128+HKDF-SHA256, 16 octets
    record = octets[32:-24]
    # TTL 1440, one locator, /32, ACT 0 and A=1, version 0, AFI LCAF: type 2, length 10, IID 4097, AFI 1.
    assert record[:28] == bytes.fromhex(
        "000005a0 01 20 1000 0000 4003 0000 0200 000a 00001001 0001 28000007".replace(" ", "")
    )
    assert record[28:] == bytes.fromhex("0164ff00 0005 0001 c000021f".replace(" ", ""))
    assert octets[-8:] == (13).to_bytes(8, "big")


@pytest.mark.requirement("SO-SEG-1", "SO-SEG-2")
async def test_every_eid_of_every_message_is_an_instance_id_lcaf(fabric: Observer) -> None:
    count = 0
    for seen in fabric.seen():
        for record in getattr(seen.message, "records", ()):
            assert isinstance(record.eid, InstanceId)
            assert record.eid.iid in (IID, SCALE_UP_IID)
            count += 1
    assert count > 200


@pytest.mark.requirement("SO-REG-5", "SO-MAP-5", "SO-FLOW-6")
@pytest.mark.parametrize("pod", PODS)
async def test_borders_register_as_petr_with_their_pod_only(fabric: Observer, pod: str) -> None:
    for gateway in (Eid.of(IID, DistinguishedName("pETR")), eid("0.0.0.0/0")):
        assert registrars(fabric, f"SU-MS-{pod}", gateway) == [f"{pod}3", f"{pod}4"]
        assert registrars(fabric, "SO-MS", gateway) == []


@pytest.mark.requirement("SO-REG-7", "SO-MS-3")
@pytest.mark.parametrize("pod", PODS)
async def test_a_subnet_is_published_to_all_remote_borders(fabric: Observer, pod: str) -> None:
    receivers = told(fabric, "SO-MS", eid(PODS[pod]))
    others = [f"{other}{number}" for other in PODS for number in (3, 4) if other != pod]
    assert set(others) <= set(receivers)
    assert not [name for name in receivers if name[1] in "12"]


@pytest.mark.requirement("SO-REG-8")
@pytest.mark.parametrize("pod", PODS)
async def test_a_subnet_is_published_to_the_access_xtrs_of_its_pod(fabric: Observer, pod: str) -> None:
    assert {f"{pod}1", f"{pod}2"} <= set(told(fabric, f"SU-MS-{pod}", eid(PODS[pod])))


@pytest.mark.requirement("SO-REG-10", "PR-PUB-5")
async def test_publications_are_authentic_counted_and_acknowledged(fabric: Observer) -> None:
    """Per subscriber and subscription each nonce is the last one plus 1; the MAC is good; an Ack with it comes back."""
    keys = {pod.name: key_of(pod.key) for pod in fabric.fabric.topology.pods}
    acks = {(seen.source, seen.destination, seen.nonce) for seen in fabric.sent(MapNotifyAck)}
    registers = {(seen.source, seen.nonce) for seen in fabric.sent(MapRegister)}
    nonces: dict[int, list[int]] = {}
    for seen in fabric.sent(MapNotify, source="SO-MS"):
        assert isinstance(seen.message, MapNotify)
        verify(seen.item.datagram.payload, seen.message, keys[seen.destination[0]], strict_scope="records")
        if (seen.destination, seen.nonce) not in registers:
            assert (seen.destination, "SO-MS", seen.nonce) in acks
    requests = fabric.sent(MapRequest, destination="SO-MS")
    assert len(requests) == 8
    for request in requests:
        first = request.nonce
        nonces[first] = sorted(
            {seen.nonce for seen in fabric.sent(MapNotify, "SO-MS", request.source) if 0 <= seen.nonce - first < 50}
        )
        assert nonces[first] == list(range(first, first + len(nonces[first])))
    # Whoever subscribed before the last subnet was registered has publications besides the confirmation.
    assert sum(len(found) > 1 for found in nonces.values()) >= 6


@pytest.mark.requirement("SO-REG-11")
async def test_a_publication_octet_by_octet(fabric: Observer) -> None:
    last = [seen for seen in fabric.sent(MapNotify, "SU-MS-D", "D3") if seen.record(eid("40.0.0.7/32"))][-1]
    octets = last.item.datagram.payload
    assert last.item.datagram.destination.port == 4342
    assert octets[0] == 0x40
    assert octets[1:3] == b"\0\0"
    at = octets.index(bytes.fromhex("28000007"))
    assert octets[at - 24 : at] == bytes.fromhex(
        "000005a0 02 20 0000 0000 4003 0000 0200 000a 00001001 0001".replace(" ", "")
    )
    locators = octets[at + 4 : at + 28]
    assert locators[8:12] == bytes([192, 0, 2, 31])
    assert locators[20:24] == bytes([192, 0, 2, 32])


@pytest.mark.requirement("SO-REG-13")
async def test_subnets_are_in_the_map_cache_and_in_the_switch(fabric: Observer) -> None:
    assert fabric.locators("A3", "40.0.0.0/16") == ["D3", "D4"]
    assert fabric.locators("A1", "10.0.0.0/16") == ["A3", "A4"]
    for switch, network in (("A3", "40.0.0.0"), ("A1", "10.0.0.0")):
        entries = await fabric.entries(switch, "scale_out_ipv4")
        match = {"iid": Exact(IID), "eid": Lpm(int.from_bytes(bytes(map(int, network.split("."))), "big"), 16)}
        entry = next(entry for entry in entries if entry.match == match)
        assert isinstance(entry.action, Action)
        assert entry.action.name.endswith("use_rloc_set")


@pytest.mark.requirement("SO-REG-15", "SO-MAP-1", "SO-MAP-2", "ARCH-6", "ARCH-8", "SO-PATH-2", "SO-PATH-3")
@pytest.mark.parametrize("host", ACCELERATORS)
async def test_an_accelerator_is_registered_by_its_xtrs_with_its_pod(fabric: Observer, host: str) -> None:
    pod = ACCELERATORS[host][0][0]
    assert registrars(fabric, f"SU-MS-{pod}", eid(host)) == ACCELERATORS[host]
    views = fabric.fabric.mapping_systems[f"SU-MS-{pod}"].machine.registrations()
    view = next(view for view in views if view.eid == eid(host))
    assert [fabric.fabric.name_of(loc.rloc) for loc in view.locators if loc.rloc] == ACCELERATORS[host]


@pytest.mark.requirement("SO-REG-16", "SO-FLOW-5")
@pytest.mark.parametrize("host", ACCELERATORS)
async def test_a_host_is_published_to_its_pod_and_nowhere_else(fabric: Observer, host: str) -> None:
    pod = ACCELERATORS[host][0][0]
    assert told(fabric, f"SU-MS-{pod}", eid(host)) == [f"{pod}{number}" for number in (1, 2, 3, 4)]
    outside = [
        seen
        for seen in fabric.seen()
        if seen.record(eid(host)) and f"SU-MS-{pod}" not in (seen.source, seen.destination)
    ]
    assert outside == []


@pytest.mark.requirement("SO-REG-17", "SO-FLOW-10", "SO-FLOW-4")
async def test_borders_know_the_hosts_of_their_pod_before_any_packet(fabric: Observer) -> None:
    for border in ("D3", "D4"):
        assert fabric.locators(border, "40.0.0.7/32") == ["D1", "D2"]
        assert fabric.locators(border, "40.0.0.8/32") == ["D1", "D2"]


@pytest.mark.requirement("ARCH-9")
async def test_every_mapping_system_knows_its_own_only(fabric: Observer) -> None:
    for pod, subnet in PODS.items():
        known = fabric.fabric.mapping_systems[f"SU-MS-{pod}"].machine.registrations()
        addresses = {view.eid for view in known} - {eid("0.0.0.0/0"), Eid.of(IID, DistinguishedName("pETR"))}
        hosts = {host: number for number, host in enumerate(ACCELERATORS, 1) if eid(subnet).covers(eid(host))}
        assert addresses == {eid(subnet), *map(eid, hosts), *(acc(pod, number) for number in hosts.values())}
    everywhere = fabric.fabric.mapping_systems["SO-MS"].machine.registrations()
    assert {view.eid for view in everywhere} == {eid(subnet) for subnet in PODS.values()}


@pytest.mark.requirement("GEN-4")
async def test_only_lisp_control_messages_pass(fabric: Observer) -> None:
    await fabric.walk("acc1", "40.0.0.7")
    types = {seen.item.datagram.payload[0] >> 4 for seen in fabric.seen()}
    assert types <= {1, 2, 3, 4, 5, 8}
    assert {3, 4, 5, 8} <= types
    assert {4342} == {seen.item.datagram.destination.port for seen in fabric.seen()}


@pytest.mark.requirement("SO-REG-14")
async def test_a_published_subnet_is_a_forwarding_path(fabric: Observer) -> None:
    """40.0.1.1 is nobody, but its subnet is known: the packet goes as far as PoD D, and ends there."""
    hops = await fabric.walk("acc1", "40.0.1.1")
    switches = way(hops)
    border = next(name for name in switches if name in ("A3", "A4"))
    reached = next(hop for hop in hops if hop.switch in ("D3", "D4"))
    sent = next(hop for hop in hops if hop.switch == border).sent
    assert sent[0][1][30:34] in (bytes([192, 0, 2, 33]), bytes([192, 0, 2, 34]))
    assert [port for port, _ in reached.sent] == [510]
    assert not {"D1", "D2"} & set(switches)


# Reserved bits of the first word by message type (RFC 9301 sections 5.2 to 5.7, RFC 9437 section 4).
RESERVED = {1: 0x002F8000, 2: 0x01FFFF00, 3: 0x01FFE200, 4: 0x0FFFFF00, 5: 0x0FFFFF00}


@pytest.mark.requirement("IANA-1")
async def test_only_assigned_code_points_are_on_the_wire(fabric: Observer) -> None:
    """Types 1 to 5 and 8, no reserved bit, actions 0 to 5; LCAFs 1, 2 and 255."""
    await fabric.walk("acc1", "50.0.0.1")  # a negative answer is among them
    actions = set()
    for seen in fabric.seen():
        octets = seen.item.datagram.payload
        if seen.encapsulated:
            assert int.from_bytes(octets[:4], "big") == 0x80000000
            octets = octets[32:]
        word0 = int.from_bytes(octets[:4], "big")
        assert word0 >> 28 in RESERVED
        assert word0 & RESERVED[word0 >> 28] == 0
        for record in seen.records:
            actions.add(int(record.action))
            assert isinstance(record.eid, InstanceId)
            for locator in record.locators:
                if record.eid.iid == IID:
                    assert isinstance(locator.address, IPv4Address)
                else:  # the AccID beside the RLOC (RFC 9306)
                    assert isinstance(locator.address, AfiList)
                    assert [type(element) for element in locator.address.elements] == [IPv4Address, VendorSpecific]
    assert actions <= set(range(6))
    assert {0, 3} <= actions
