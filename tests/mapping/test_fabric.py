"""The draft's sequences of section 4 and 6, with Map-Servers and xTRs over a network, seen in what they send."""

from __future__ import annotations

import pytest

from controller.lisp import (
    Action,
    InstanceId,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
)
from controller.xtr import Kind
from tests.mapping.harness import IID, POD_LETTERS, Fabric, assert_synchronised, eid, rlocs

HOST = "40.0.0.7"
D1, D2, D3, D4 = (f"192.0.40.{number}" for number in (1, 2, 3, 4))


def started(pods: str = "AD", seconds: float = 5.0) -> Fabric:
    fabric = Fabric(pods)
    fabric.start()
    fabric.net.run(seconds)
    return fabric


def notified(fabric: Fabric, since: float, eid_text: str) -> dict[str, list[list[str]]]:
    """Node name to the RLOC-sets that Map-Notifies since a time told it about an EID."""
    found: dict[str, list[list[str]]] = {}
    for name in fabric.net.nodes:
        for _, message in fabric.net.seen(MapNotify, since, destination=name):
            for record in message.records:
                if record.key == eid(eid_text):
                    found.setdefault(name, []).append(rlocs(record))
    return found


@pytest.mark.requirement("SO-REG-2", "SO-REG-3", "SO-MAP-3", "SO-MAP-5", "SO-REG-5")
def test_borders_register_subnets_in_both_mapping_systems_and_themselves_as_gateways() -> None:
    fabric = started()
    for server in ("SU-D", "SO"):
        senders = {
            seen.source
            for seen, message in fabric.net.seen(MapRegister, destination=server)
            if message.records[0].key == fabric.subnet("D")
        }
        assert senders == {D3, D4}
        assert fabric.registered(server)["40.0.0.0/16"] == [D3, D4]
    assert fabric.registered("SU-D")["pETR"] == [D3, D4]
    assert fabric.registered("SU-D")["0.0.0.0/0"] == [D3, D4]
    assert set(fabric.registered("SO")) == {"10.0.0.0/16", "40.0.0.0/16"}


@pytest.mark.requirement("SO-REG-7", "SO-REG-8", "SO-REG-10", "SO-REG-13")
def test_subnets_are_published_to_the_borders_of_all_pods_and_to_the_xtrs_of_their_own() -> None:
    fabric = Fabric("ABCD")
    fabric.start(*(f"{pod}{number}" for pod in "ABC" for number in "1234"), "D1", "D2")
    fabric.net.run(5)
    at = fabric.net.now
    fabric.start("D3")
    fabric.net.run(1)
    told = notified(fabric, at, "40.0.0.0/16")
    borders = [f"{pod}{number}" for pod in "ABC" for number in "34"]
    assert {name: told[name] for name in borders} == {name: [[D3]] for name in borders}
    assert {name: told[name] for name in ("D1", "D2")} == {"D1": [[D3]], "D2": [[D3]]}
    assert not any(name in told for name in ("A1", "A2", "B1", "B2", "C1", "C2"))
    assert fabric.cache("A3")["40.0.0.0/16"] == [D3]
    assert fabric.cache("D1")["40.0.0.0/16"] == [D3]
    acked = {
        seen.source
        for seen, message in fabric.net.seen(MapNotifyAck, at)
        if message.records[0].key == fabric.subnet("D")
    }
    assert acked >= {str(fabric.rloc(name)) for name in [*borders, "D1", "D2"]}
    assert_synchronised(fabric)


@pytest.mark.requirement("SO-REG-9", "SO-MS-3")
def test_a_subnet_comes_and_goes_at_run_time() -> None:
    fabric = started()
    for border in ("D3", "D4"):
        xtr = fabric.xtr(border)
        fabric.net.do(fabric.node(border), xtr.detach, fabric.subnet("D"))
        fabric.net.run(1)
        if border == "D3":
            assert fabric.cache("A3")["40.0.0.0/16"] == [D4]
            assert fabric.cache("D1")["40.0.0.0/16"] == [D4]
    assert "40.0.0.0/16" not in fabric.cache("A3")
    assert "40.0.0.0/16" not in fabric.cache("D1")
    xtr = fabric.xtr("D4")
    fabric.net.do(fabric.node("D4"), xtr.attach, fabric.subnet("D"), links=("scale-up", "scale-out"), deliver=False)
    fabric.net.run(1)
    assert fabric.cache("A3")["40.0.0.0/16"] == fabric.cache("D1")["40.0.0.0/16"] == [D4]
    assert_synchronised(fabric)


@pytest.mark.requirement("SO-REG-14", "SO-FLOW-3", "SO-FLOW-8")
def test_a_border_has_a_path_to_other_pods_before_the_first_packet() -> None:
    fabric = started()
    entry = next(entry for entry in fabric.xtr("A3").map_cache() if entry.eid == fabric.subnet("D"))
    assert entry.kind is Kind.FORWARD
    assert [(str(locator.rloc), locator.priority, locator.weight) for locator in entry.locators] == [
        (D3, 1, 100),
        (D4, 1, 100),
    ]
    at = fabric.net.now
    fabric.miss("A3", "40.0.1.1", b"packet")
    assert fabric.net.seen(MapRequest, at) == []
    assert fabric.node("A3").replayed() == [b"packet"]


@pytest.mark.requirement(
    "SO-REG-15", "SO-REG-16", "SO-REG-17", "SO-FLOW-5", "SO-FLOW-10", "SO-PATH-1", "SO-PATH-2", "SO-MAP-1"
)
def test_a_host_is_registered_by_its_xtr_and_known_in_its_pod_only() -> None:
    fabric = started()
    at = fabric.net.now
    fabric.attach("D1", HOST)
    first = fabric.node("D1").outputs[-3:]
    assert [type(output).__name__ for _, output in first] == ["DatabaseChange", "MapCacheChange", "Send"]
    fabric.net.run(1)
    ((seen, register),) = fabric.net.seen(MapRegister, at, source="D1")
    assert seen.destination == str(fabric.su_address("D"))
    assert (register.records[0].key, rlocs(register.records[0])) == (eid(HOST), [D1])
    told = notified(fabric, at, HOST)
    assert {name: told[name] for name in ("D2", "D3", "D4")} == {"D2": [[D1]], "D3": [[D1]], "D4": [[D1]]}
    assert set(told) == {"D1", "D2", "D3", "D4"}
    for name in ("D2", "D3", "D4"):
        assert fabric.cache(name)["40.0.0.7/32"] == [D1]
    assert "40.0.0.7/32" not in fabric.registered("SO")
    assert_synchronised(fabric)


@pytest.mark.requirement("SO-MAP-4", "SO-MAP-2", "SO-REG-4", "MH-REG-1", "MH-REG-2", "MH-MRG-2", "SO-SEG-1")
def test_every_registration_has_the_instance_in_the_eid_and_the_pod_as_site() -> None:
    fabric = started()
    fabric.attach("D1", HOST)
    fabric.attach("A2", "10.0.0.3")
    fabric.net.run(70)
    registers = fabric.net.seen(MapRegister)
    assert sum(len(message.records) for _, message in registers) > 30
    identities = set()
    for seen, message in registers:
        assert message.xtr is not None
        assert message.merge
        assert message.want_notify
        assert message.proxy_reply
        for record in message.records:
            assert isinstance(record.eid, InstanceId)
            assert record.eid.iid == IID
        pod = next(letter for letter, number in POD_LETTERS.items() if seen.source.startswith(f"192.0.{number}."))
        assert message.xtr.site_id == POD_LETTERS[pod]
        identities.add((seen.source, message.xtr.xtr_id))
    assert (
        len(identities) == len({source for source, _ in identities}) == len({xtr_id for _, xtr_id in identities}) == 6
    )


@pytest.mark.requirement("MH-MRG-1", "MH-MRG-3", "MH-MRG-4", "MH-MRG-5", "MH-MRG-6", "MH-MRG-9")
def test_xtrs_find_each_other_by_a_common_eid() -> None:
    fabric = started()
    fabric.attach("D1", HOST)
    fabric.net.run(1)
    (first,) = [entry for entry in fabric.xtr("D1").database() if entry.eid == eid(HOST)]
    assert [str(rloc) for rloc in first.peers] == [D1]
    at = fabric.net.now
    fabric.attach("D2", HOST)
    fabric.net.run(1)
    assert fabric.registered("SU-D")["40.0.0.7/32"] == [D1, D2]
    assert fabric.net.seen(MapRegister, at, source="D1") == []
    told = notified(fabric, at, HOST)
    assert told["D1"][-1] == told["D2"][-1] == [D1, D2]
    views = [[str(rloc) for rloc in entry.peers] for name in ("D1", "D2") for entry in fabric.xtr(name).database()]
    assert views == [[D1, D2], [D1, D2]]
    assert_synchronised(fabric)


@pytest.mark.requirement("MH-MRG-6", "MH-MRG-7", "MH-MRG-8", "PR-REG-1", "MH-MRG-9")
def test_joining_leaving_and_falling_silent_reach_all_members() -> None:
    fabric = started()
    for name in ("D1", "D2", "D3"):
        fabric.attach(name, HOST)
        fabric.net.run(1)
    for name in ("D1", "D2", "D3"):
        (entry,) = [entry for entry in fabric.xtr(name).database() if entry.eid == eid(HOST)]
        assert [str(rloc) for rloc in entry.peers] == [D1, D2, D3]
    fabric.detach("D1", HOST)
    fabric.net.run(1)
    for name in ("D2", "D3"):
        (entry,) = [entry for entry in fabric.xtr(name).database() if entry.eid == eid(HOST)]
        assert [str(rloc) for rloc in entry.peers] == [D2, D3]
    fabric.net.run(60)
    fabric.node("D2").up = False
    silent = fabric.net.now
    fabric.net.run(115)
    assert fabric.registered("SU-D")["40.0.0.7/32"] == [D2, D3]
    fabric.net.run(70)
    assert fabric.registered("SU-D")["40.0.0.7/32"] == [D3]
    (expiry,) = [
        event
        for event in fabric.node("SU-D").events("registration-expired", silent)
        if HOST in str(event.fields["eid"])
    ]
    assert expiry.fields["xtr"]
    (entry,) = [entry for entry in fabric.xtr("D3").database() if entry.eid == eid(HOST)]
    assert [str(rloc) for rloc in entry.peers] == [D3]
    assert fabric.cache("D4")["40.0.0.7/32"] == [D3]
    assert fabric.cache("D1")["40.0.0.7/32"] == [D3]


@pytest.mark.requirement("SO-SUB-1", "SO-SUB-2", "SO-SUB-3", "SO-SUB-11", "SO-PATH-4", "SO-FLOW-6", "SO-FLOW-7")
def test_the_first_packet_to_another_pod_asks_with_n_bit_and_leads_to_the_gateways() -> None:
    fabric = started()
    at = fabric.net.now
    fabric.miss("A1", HOST, b"first")
    fabric.net.run(1)
    ((seen, request),) = fabric.net.seen(MapRequest, at)
    assert (seen.source, seen.destination) == ("192.0.10.1", str(fabric.su_address("A")))
    (record,) = request.records
    assert (record.key, record.subscribe) == (eid(HOST), True)
    assert request.xtr is not None
    assert request.xtr.site_id == 10
    assert [str(rloc) for rloc in request.itr_rlocs] == ["192.0.10.1"]
    ((_, confirmation),) = fabric.net.seen(MapNotify, at, destination="A1")
    assert confirmation.nonce == request.nonce
    assert fabric.cache("A1")["32.0.0.0/3"] == ["192.0.10.3", "192.0.10.4"]
    assert fabric.node("A1").replayed() == [b"first"]
    fabric.miss("A1", "40.0.0.8", b"second")
    assert len(fabric.net.seen(MapRequest, at)) == 1, "the hole answers for its neighbour too"
    assert fabric.node("A1").replayed() == [b"first", b"second"]


@pytest.mark.requirement("SO-MS-1")
def test_the_legs_of_a_path_between_pods_come_from_three_mapping_systems() -> None:
    fabric = started()
    fabric.attach("A1", "10.0.0.1")
    fabric.attach("D1", HOST)
    fabric.attach("D2", HOST)
    fabric.miss("A1", HOST)
    fabric.net.run(2)
    assert fabric.cache("A1")["32.0.0.0/3"] == ["192.0.10.3", "192.0.10.4"]
    assert fabric.cache("A3")["40.0.0.0/16"] == [D3, D4]
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1, D2]
    (local,) = [entry for entry in fabric.xtr("D1").map_cache() if entry.kind is Kind.LOCAL]
    assert local.eid == eid(HOST)
    known = {name: set(fabric.registered(name)) for name in ("SU-A", "SO", "SU-D")}
    assert "40.0.0.7/32" in known["SU-D"]
    assert "40.0.0.7/32" not in known["SO"] | known["SU-A"]
    assert_synchronised(fabric)


@pytest.mark.requirement("SO-SUB-12", "SO-SUB-13", "SO-UNK-1", "SO-UNK-3")
def test_unknown_hosts_are_dropped_at_the_border_of_their_pod() -> None:
    fabric = started()
    fabric.attach("D1", HOST)
    fabric.net.run(1)
    fabric.detach("D1", HOST)
    fabric.net.run(1)
    for host in ("40.0.0.99", HOST):
        at = fabric.net.now
        fabric.miss("D3", host, b"lost")
        fabric.net.run(1)
        ((seen, reply),) = fabric.net.seen(MapReply, at)
        assert seen.source == str(fabric.su_address("D"))
        assert (reply.records[0].key, reply.records[0].action) == (eid(host), Action.DROP)
        (entry,) = [entry for entry in fabric.xtr("D3").map_cache() if entry.eid == eid(host)]
        assert (entry.kind, entry.action, entry.ttl) == (Kind.NEGATIVE, Action.DROP, 1)
    assert fabric.node("D3").replayed() == []
    fabric.attach("D1", "40.0.0.99")
    fabric.net.run(1)
    assert fabric.cache("D3")["40.0.0.99/32"] == [D1], "its later registration is published to the table's subscriber"


@pytest.mark.requirement(
    "SO-PATH-5", "SO-PATH-6", "SO-PATH-7", "SO-PATH-8", "SO-PATH-9", "SO-PATH-10", "SO-PATH-11", "SO-MS-5", "SO-MS-7"
)
def test_detaching_withdraws_one_locator_and_every_subscriber_follows() -> None:
    fabric = started()
    fabric.attach("D1", HOST)
    fabric.attach("D2", HOST)
    fabric.net.run(1)
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1, D2]
    at = fabric.net.now
    fabric.detach("D1", HOST)
    (withdrawn,) = [entry for entry in fabric.xtr("D1").database() if entry.eid == eid(HOST)]
    assert withdrawn.state.value == "withdrawn"
    fabric.net.run(1)
    ((_, deregister),) = fabric.net.seen(MapRegister, at, source="D1")
    assert (deregister.records[0].ttl, rlocs(deregister.records[0])) == (0, [D1])
    acks = [
        message for _, message in fabric.net.seen(MapNotify, at, destination="D1") if message.nonce == deregister.nonce
    ]
    assert [message.records[0].ttl for message in acks] == [0]
    assert [entry for entry in fabric.xtr("D1").database() if entry.eid == eid(HOST)] == []
    told = notified(fabric, at, HOST)
    for name in ("D2", "D3", "D4"):
        assert told[name] == [[D2]]
    for name in ("D1", "D3", "D4"):
        assert fabric.cache(name)["40.0.0.7/32"] == [D2]
    fabric.net.run(3 * 60)
    assert [
        message.records[0].ttl
        for _, message in fabric.net.seen(MapRegister, at, source="D1")
        if message.records[0].key == eid(HOST)
    ] == [0], "it is advertised no more"
    assert_synchronised(fabric)


@pytest.mark.requirement("SO-MS-6")
def test_refreshing_costs_a_register_and_its_acknowledgement() -> None:
    fabric = started()
    fabric.attach("D1", HOST)
    fabric.net.run(10)
    at = fabric.net.now
    fabric.net.run(600)
    registers = {(seen.source, message.nonce) for seen, message in fabric.net.seen(MapRegister, at)}
    notifies = {(seen.destination, message.nonce) for seen, message in fabric.net.seen(MapNotify, at)}
    assert notifies == registers
    assert fabric.net.seen(MapNotifyAck, at) == []


@pytest.mark.requirement("SO-MS-2")
def test_a_closed_network_falls_back_to_nothing_and_recovers() -> None:
    """Every message is lost for a while: entries stay, registrations expire, and all comes back."""
    fabric = started()
    fabric.attach("D1", HOST)
    fabric.net.run(5)
    fabric.net.filter = lambda seen: False
    fabric.net.run(400)
    assert fabric.registered("SU-D") == {}
    assert fabric.cache("A3")["40.0.0.0/16"] == [D3, D4], "forwarding goes on with what is known"
    fabric.net.filter = lambda seen: True
    fabric.net.run(1200)
    assert fabric.registered("SU-D")["40.0.0.7/32"] == [D1]
    assert fabric.cache("D3")["40.0.0.7/32"] == [D1]
    assert_synchronised(fabric)
