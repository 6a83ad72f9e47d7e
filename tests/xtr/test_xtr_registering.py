"""The ETR: registering, refreshing, repeating and withdrawing, in the messages it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from controller.lisp import (
    Algorithm,
    DistinguishedName,
    Eid,
    Key,
    MapRegister,
    Metadata,
    RlocRecord,
    sign,
    verify,
    with_metadata,
)
from controller.xtr import ConfigError, DatabaseChange, Event, Kind, LocalEid, MappingSystemLink, Send, XtrConfig
from tests.mapping.harness import ip, sends, unwrap
from tests.xtr.support import (
    EVERYTHING,
    GATEWAY,
    HOST,
    KEY,
    SO,
    SU,
    SUBNET,
    FixedNonces,
    XtrBench,
    acks,
    changes,
    names,
    record,
    registers,
)

VECTOR_LINK = MappingSystemLink(
    "su",
    ip("192.0.2.100"),
    (Key(1, Algorithm.HMAC_SHA256_128, b"lab-psk-0001"),),
    prefixes=(Eid.of(0x1001, "0.0.0.0/0"),),
    name_iids=frozenset({0x2001}),
)
VECTOR_CONFIG = XtrConfig(bytes(range(0x10, 0x20)), 13, (ip("192.0.2.1"),), (VECTOR_LINK,))


def times(found: Sequence[tuple[float, object]]) -> list[float]:
    return [at for at, output in found if isinstance(output, Send) and registers([output])]


@pytest.mark.requirement("SO-REG-4", "PR-AUTH-1", "SO-MAP-2", "SO-MAP-4")
def test_a_registration_is_that_of_the_wire_reference() -> None:
    bench = XtrBench(config=VECTOR_CONFIG, nonces=FixedNonces(0x0102030405060708))
    (datagram,) = sends(bench.attach(Eid.of(0x1001, "40.0.0.7")))
    v1 = (
        "3a000d010102030405060708010200105fdda6d4f96086f1a37490ed69f9de54"
        "000005a0012010000000400300000200000a000010010001280000070164ff00"
        "00050001c0000201101112131415161718191a1b1c1d1e1f000000000000000d"
    )
    # The vector has the T bit, which says that the TTL is the timeout: we leave that to the Map-Server.
    octets = bytearray.fromhex(v1)
    octets[2] &= ~0x08
    expected = unwrap(bytes(octets))
    assert isinstance(expected, MapRegister)
    assert datagram.payload == sign(expected, VECTOR_LINK.keys[0])


@pytest.mark.requirement("SU-PATH-5")
def test_a_withdrawal_of_a_name_is_that_of_the_wire_reference() -> None:
    name = Eid(0x2001, DistinguishedName("POD-D-AccID-7"))
    bench = XtrBench(config=VECTOR_CONFIG, nonces=FixedNonces(0x0102030405060709))
    bench.attach(name)
    (datagram,) = sends(bench.detach(name))
    v5 = (
        "3a000501010203040506070a010200101db9a1b36c302f5acf968ae977ec3a95"
        "000000000170100000004003000002000014000020010011504f442d442d4163"
        "6349442d3700ff00ff0000040001c0000201101112131415161718191a1b1c1d"
        "1e1f000000000000000d"
    )
    withdrawal, vector = unwrap(datagram.payload), unwrap(bytes.fromhex(v5))
    assert isinstance(withdrawal, MapRegister)
    assert isinstance(vector, MapRegister)
    (locator,) = withdrawal.records[0].locators
    assert withdrawal.records[0] == replace(vector.records[0], locators=(replace(locator),))
    assert locator == replace(vector.records[0].locators[0], mpriority=255)
    assert (withdrawal.nonce, withdrawal.xtr) == (vector.nonce, vector.xtr)


def test_a_map_register_has_one_instance_id() -> None:
    every = tuple(Eid.of(iid, "0.0.0.0/0") for iid in (0x1001, 0x1002))
    config = replace(VECTOR_CONFIG, links=(replace(VECTOR_LINK, prefixes=every),))
    bench = XtrBench(config=config)
    eids = [Eid.of(iid, f"40.0.0.{host}") for host in range(1, 4) for iid in (0x1001, 0x1002)]
    first = registers(bench.xtr.attach_all([LocalEid(eid) for eid in eids], 0.0))
    repeated = registers([output for _, output in bench.run(10.0)])
    assert len(first) == 2
    assert repeated
    for message in [*first, *repeated]:
        assert len({one.key.iid for one in message.records}) == 1
        assert len(message.records) == 3, "what is due together shares a message"


@pytest.mark.requirement("SO-PATH-1", "SO-PATH-2", "ARCH-6")
def test_attaching_changes_the_database_first_and_then_registers() -> None:
    bench = XtrBench()
    outputs = bench.attach(HOST)
    kinds = [type(output).__name__ for output in outputs]
    assert kinds == ["DatabaseChange", "MapCacheChange", "Send"]
    assert bench.database() == {"40.0.0.7/32": ("registering", [])}
    (datagram,) = sends(outputs)
    assert (str(datagram.source), str(datagram.destination)) == ("192.0.40.1:4342", f"{SU}:4342")
    message = unwrap(datagram.payload)
    assert isinstance(message, MapRegister)
    verify(datagram.payload, message, KEY)
    assert message.records[0].authoritative
    assert [locator.local for locator in message.records[0].locators] == [True]
    acknowledged = bench.acknowledge(outputs)
    assert bench.database() == {"40.0.0.7/32": ("registered", ["192.0.40.1"])}
    assert any(isinstance(output, DatabaseChange) for output in acknowledged)
    assert acks(acknowledged) == [], "an acknowledgement is not acknowledged (choice C6)"
    assert bench.attach(HOST) == [], "attaching it once more is nothing new"


@pytest.mark.requirement("PR-REG-3")
def test_without_answer_a_registration_is_repeated_with_new_nonces() -> None:
    bench = XtrBench()
    first = registers(bench.attach(HOST))[0]
    found = bench.run(250.0)
    assert times(found) == [1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0, 243.0]
    nonces = [first.nonce, *(message.nonce for message in registers([output for _, output in found]))]
    assert nonces == list(range(first.nonce, first.nonce + 10))
    assert {message.records for message in registers([output for _, output in found])} == {first.records}


def test_any_of_the_repetitions_can_be_acknowledged() -> None:
    bench = XtrBench()
    outputs = bench.attach(HOST)
    bench.run(5.0)
    bench.acknowledge(outputs)
    assert bench.database()["40.0.0.7/32"][0] == "registered"
    assert times(bench.run(64.0)) == []
    assert times(bench.run(65.0)) == [65.0], "the refresh, a minute after the acknowledgement"


@pytest.mark.requirement("PR-REG-1")
def test_a_registration_is_refreshed_every_minute() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    for minute in range(1, 6):
        found = bench.run(60.0 * minute)
        assert times(found) == [60.0 * minute]
        assert bench.acknowledge([output for _, output in found]) == [
            Event("registration-acknowledged", {"eid": str(HOST), "link": "scale-up"})
        ]


def test_a_failed_refresh_is_repeated_like_the_first() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    assert times(bench.run(80.0)) == [60.0, 61.0, 63.0, 67.0, 75.0]
    assert bench.database()["40.0.0.7/32"][0] == "registered"


@pytest.mark.requirement("SO-PATH-5", "SO-PATH-6", "SO-PATH-7", "SO-PATH-8", "SU-PATH-8")
def test_a_withdrawal_is_repeated_until_acknowledged_and_then_forgotten() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    bench.run(10.0)
    outputs = bench.detach(HOST)
    assert changes(outputs) == [("40.0.0.7/32", None)], "nothing is delivered here any more, at once"
    (withdrawal,) = registers(outputs)
    (gone,) = withdrawal.records
    assert gone.ttl == 0
    assert [(str(locator.rloc), locator.priority) for locator in gone.locators] == [("192.0.40.1", 255)]
    repeated = bench.run(20.0)
    assert times(repeated) == [11.0, 13.0, 17.0]
    assert [message.records[0].ttl for message in registers([output for _, output in repeated])] == [0, 0, 0]
    assert bench.database() == {"40.0.0.7/32": ("withdrawn", [])}
    outputs = bench.acknowledge([repeated[-1][1]])
    assert [output.entry for output in outputs if isinstance(output, DatabaseChange)] == [None]
    assert bench.database() == {}
    assert times(bench.run(20.0 + 3 * 60.0)) == []
    assert names(bench.detach(HOST)) == ["detach-ignored"]


def test_a_late_acknowledgement_of_the_registration_does_not_end_the_withdrawal() -> None:
    bench = XtrBench()
    outputs = bench.attach(HOST)
    bench.detach(HOST)
    assert names(bench.acknowledge(outputs)) == ["late-acknowledgement"]
    assert bench.database() == {"40.0.0.7/32": ("withdrawn", [])}


def test_attached_again_before_the_withdrawal_is_acknowledged() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    withdrawal = bench.detach(HOST)
    again = bench.attach(HOST)
    assert registers(again)[0].records[0].ttl == 1440
    assert names(bench.acknowledge(withdrawal)) == ["late-acknowledgement"]
    assert bench.database()["40.0.0.7/32"][0] == "registering"
    bench.acknowledge(again)
    assert bench.database()["40.0.0.7/32"][0] == "registered"
    assert bench.entries()["40.0.0.7/32"][0] == "local"


@pytest.mark.requirement("SO-MAP-1")
def test_a_changed_description_is_registered_at_once() -> None:
    bench = XtrBench()
    bench.acknowledge(bench.attach(HOST))
    described = RlocRecord(with_metadata(bench.rloc, Metadata(congestion=2)), priority=5)
    outputs = bench.attach(HOST, locators=(described,))
    (message,) = registers(outputs)
    (locator,) = message.records[0].locators
    assert (locator.priority, locator.metadata, locator.rloc) == (5, Metadata(congestion=2), bench.rloc)
    assert bench.database()["40.0.0.7/32"][0] == "registering"
    assert changes(outputs) == [("40.0.0.7/32", "local")]


@pytest.mark.requirement("SO-REG-2", "SO-REG-3", "SO-REG-5", "SO-MAP-5", "MH-REG-2")
def test_a_border_registers_its_subnet_twice_and_itself_as_gateway() -> None:
    bench = XtrBench("D3")
    outputs = bench.xtr.start(0.0)
    sent = {
        (str(datagram.destination.address), str(record.key.target))
        for datagram in sends(outputs)
        if isinstance(message := unwrap(datagram.payload), MapRegister)
        for record in message.records
    }
    assert sent == {
        (str(SU), "40.0.0.0/16"),
        (str(SO), "40.0.0.0/16"),
        (str(SU), "pETR"),
        (str(SU), "0.0.0.0/0"),
    }
    assert all(message.xtr is not None and message.xtr.site_id == 40 for message in registers(outputs))
    assert bench.entries() == {}, "what is only advertised is not delivered here"
    states = {entry.eid: (entry.links, entry.deliver) for entry in bench.xtr.database()}
    assert states[SUBNET] == (("scale-up", "scale-out"), False)
    assert states[GATEWAY] == states[EVERYTHING] == (("scale-up",), False)


def test_an_entry_leaves_when_all_its_mapping_systems_have_agreed() -> None:
    bench = XtrBench("D3")
    bench.acknowledge(bench.xtr.start(0.0))
    outputs = bench.detach(SUBNET)
    to_su, to_so = (output for output in outputs if isinstance(output, Send))
    bench.acknowledge([to_su])
    assert bench.database()["40.0.0.0/16"][0] == "withdrawn"
    bench.acknowledge([to_so])
    assert "40.0.0.0/16" not in bench.database()


@pytest.mark.requirement("PR-AUTH-3")
def test_an_acknowledgement_with_a_wrong_mac_is_none() -> None:
    bench = XtrBench()
    (message,) = registers(bench.attach(HOST))
    forged = bench.notify(message.nonce, *message.records, key=Key(1, Algorithm.HMAC_SHA256_128, b"guessed"))
    assert names(forged) == ["message-dropped"]
    assert bench.database()["40.0.0.7/32"][0] == "registering"
    assert times(bench.run(1.0)) == [1.0]


def test_a_repeated_acknowledgement_is_not_taken_for_news() -> None:
    """It comes again after the RLOC-set has changed: the view must not go back."""
    bench = XtrBench()
    (message,) = registers(bench.attach(HOST))
    bench.notify(message.nonce, *message.records)
    bench.notify(5, record(HOST, "192.0.40.1", "192.0.40.2"))
    again = bench.notify(message.nonce, *message.records)
    assert names(again) == ["late-acknowledgement"]
    assert bench.database()["40.0.0.7/32"] == ("registered", ["192.0.40.1", "192.0.40.2"])


@pytest.mark.requirement("MH-MRG-9")
def test_what_was_heard_meanwhile_is_newer_than_the_acknowledgement() -> None:
    bench = XtrBench()
    (message,) = registers(bench.attach(HOST))
    bench.notify(5, record(HOST, "192.0.40.1", "192.0.40.2"))
    bench.notify(message.nonce, *message.records)
    assert bench.database()["40.0.0.7/32"] == ("registered", ["192.0.40.1", "192.0.40.2"])


def test_a_local_entry_is_for_delivery() -> None:
    bench = XtrBench()
    bench.attach(HOST)
    (entry,) = bench.xtr.map_cache()
    assert (entry.kind, entry.eid, entry.expires, entry.link) == (Kind.LOCAL, HOST, None, "")


def test_memory_is_bounded_while_a_map_server_is_silent() -> None:
    bench = XtrBench()
    first = registers(bench.attach(HOST))[0]
    bench.run(7200.0)
    assert names(bench.notify(first.nonce, *first.records)) == ["late-acknowledgement"]
    (pending,) = bench.xtr.pending()
    assert (pending.what, pending.eid, pending.link) == ("registration", HOST, "scale-up")


@pytest.mark.requirement("PR-REG-2")
def test_with_t_bit_registrations_live_as_long_as_their_ttl() -> None:
    bench = XtrBench(use_ttl=True, record_ttl=2)
    (message,) = registers(bench.attach(HOST))
    assert message.use_ttl
    assert message.records[0].ttl == 2
    with pytest.raises(ConfigError, match="record_ttl = 1: with use_ttl, registrations would expire"):
        XtrBench(use_ttl=True, record_ttl=1)


@pytest.mark.requirement("PR-REG-1")
def test_after_a_change_registrations_can_be_refreshed_more_often() -> None:
    """RFC 9301 §8.2: up to once in 20 seconds, for at most 5 minutes."""
    bench = XtrBench(quick_register_for=300.0)
    bench.acknowledge(bench.attach(HOST))
    refreshed = []
    for second in range(1, 421):
        found = bench.run(float(second))
        refreshed += times(found)
        bench.acknowledge([output for _, output in found])
    assert refreshed == [*(20.0 * number for number in range(1, 16)), 360.0, 420.0]
    bench.acknowledge(bench.detach(HOST))
    assert times(bench.run(1000.0)) == []
