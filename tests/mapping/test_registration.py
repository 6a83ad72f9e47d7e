"""Map-Registers at a Map-Server: authentication, replays, prefixes, merging, leases, acknowledgements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.lisp import (
    Algorithm,
    AuthenticationError,
    Datagram,
    DistinguishedName,
    Eid,
    Endpoint,
    Key,
    MapNotify,
    MapRegister,
    Metadata,
    RlocRecord,
    XtrIdentity,
    decode,
    sign,
    verify,
    with_metadata,
)
from controller.mapping import AuthorisedXtr, MapServer, MapServerConfig, MemoryStore, NameScope, SiteConfig, SitePrefix
from tests.mapping.harness import (
    IID,
    Bench,
    drop_reason,
    eid,
    events,
    identity,
    ip,
    messages,
    nonce_source,
    rlocs,
    secret_key,
    sends,
)

HOST = eid("40.0.0.7")
V1 = bytes.fromhex(
    "3a000d010102030405060708010200105fdda6d4f96086f1a37490ed69f9de54"
    "000005a0012010000000400300000200000a000010010001280000070164ff00"
    "00050001c0000201101112131415161718191a1b1c1d1e1f000000000000000d"
)
V3 = bytes.fromhex(
    "3a00050101020304050607090103001033cb64211ad35fce4cfea2ceed3ae8d5"
    "000005a00170100000004003000002000014000020010011504f442d442d4163"
    "6349442d37000164ff0000050001c0000201101112131415161718191a1b1c1d"
    "1e1f000000000000000d"
)


def vector_server(algorithm: Algorithm) -> MapServer:
    """The Map-Server that the test vectors of the wire reference speak to."""
    site = SiteConfig(
        13,
        (Key(1, algorithm, b"lab-psk-0001"),),
        (SitePrefix(Eid.of(0x1001, "40.0.0.0/16")),),
        (NameScope(0x2001, "POD-D-"),),
        (AuthorisedXtr(bytes(range(0x10, 0x20)), (ip("192.0.2.1"),)),),
    )
    return MapServer(MapServerConfig(ip("192.0.2.100"), (site,)), MemoryStore(), 0.0, nonces=nonce_source(1))


def from_vector(payload: bytes) -> Datagram:
    return Datagram(Endpoint(ip("192.0.2.1"), 4342), Endpoint(ip("192.0.2.100"), 4342), payload)


@pytest.mark.requirement("SO-REG-4", "PR-AUTH-1", "SO-MAP-4")
def test_the_registration_of_the_wire_reference_is_accepted() -> None:
    server = vector_server(Algorithm.HMAC_SHA256_128)
    (notify,) = messages(server.receive(from_vector(V1), 0.0), MapNotify)
    assert notify.nonce == 0x0102030405060708
    (view,) = server.registrations()
    assert view.eid == Eid.of(0x1001, "40.0.0.7")
    assert [str(locator.rloc) for locator in view.locators] == ["192.0.2.1"]


@pytest.mark.requirement("PR-AUTH-2")
def test_the_registration_with_a_derived_key_is_accepted() -> None:
    server = vector_server(Algorithm.HMAC_SHA256_128_HKDF)
    server.receive(from_vector(V3), 0.0)
    assert [view.eid for view in server.registrations()] == [Eid(0x2001, DistinguishedName("POD-D-AccID-7"))]


@pytest.mark.requirement("PR-AUTH-3")
def test_no_bit_of_a_registration_can_be_changed() -> None:
    """The trailer is not covered by the MAC (choice C2); there the allow-list refuses what is not true."""
    for bit in range(0, 8 * len(V1), 3):
        octets = bytearray(V1)
        octets[bit // 8] ^= 0x80 >> bit % 8
        server = vector_server(Algorithm.HMAC_SHA256_128)
        outputs = server.receive(from_vector(bytes(octets)), 0.0)
        assert drop_reason(outputs)
        assert server.registrations() == []


@pytest.mark.requirement("PR-AUTH-8")
def test_no_algorithm_is_refused_and_so_is_an_unknown_one() -> None:
    bench = Bench()
    plain = Key(1, Algorithm.NONE, b"")
    assert drop_reason(bench.register(bench.d1, HOST, key=plain)) == "authentication-failed"
    octets = bytearray(bench.d1.register(bench.endpoint, HOST).payload)
    octets[13] = 9
    forged = Datagram(Endpoint(bench.d1.address, 4342), bench.endpoint, bytes(octets))
    assert drop_reason(bench.server.receive(forged, 0.0)) == "authentication-failed"
    assert bench.mappings() == {}


@pytest.mark.requirement("PR-AUTH-7")
def test_keys_are_changed_without_loss() -> None:
    bench = Bench()
    old, new = secret_key(40, 1), secret_key(40, 2, Algorithm.HMAC_SHA256_128_HKDF)
    (site,) = bench.config.sites
    both = replace(bench.config, sites=(replace(site, keys=(old, new)),))
    server = MapServer(both, MemoryStore(), 0.0, nonces=nonce_source(1))
    assert messages(server.receive(bench.d1.register(bench.endpoint, HOST, key=old), 0.0), MapNotify)
    outputs = server.receive(bench.d1.register(bench.endpoint, HOST, key=new), 60.0)
    (datagram,) = sends(outputs)
    message = decode(datagram.payload)
    assert isinstance(message, MapNotify)
    verify(datagram.payload, message, new)
    assert not events(outputs, "mapping-changed")


@pytest.mark.requirement("PR-AUTH-4")
def test_a_foreign_prefix_is_refused() -> None:
    bench = Bench()
    outputs = bench.register(bench.d1, eid("10.0.0.7"))
    (event,) = events(outputs)
    assert event.name == "map-register-record-refused"
    assert event.fields["field"] == "records[0]"
    assert event.fields["eid"] == "[4097] 10.0.0.7/32"
    assert sends(outputs) == []
    assert bench.mappings() == {}


def test_of_several_records_only_the_foreign_one_is_refused() -> None:
    bench = Bench()
    outputs = bench.register(bench.d1, HOST, eid("10.0.0.7"), eid("40.0.0.8"))
    (notify,) = messages(outputs, MapNotify, to=bench.d1)
    assert [str(record.key) for record in notify.records] == ["[4097] 40.0.0.7/32", "[4097] 40.0.0.8/32"]
    assert set(bench.mappings()) == {"40.0.0.7/32", "40.0.0.8/32"}


@pytest.mark.requirement("MH-MRG-10")
def test_sites_are_not_merged() -> None:
    bench = Bench(pods="AD")
    stranger = bench.peer("A", 3)
    bench.register(bench.d3, eid("40.0.0.0/16"))
    outputs = bench.register(stranger, eid("40.0.0.0/16"))
    assert events(outputs, "map-register-record-refused")
    assert bench.mappings() == {"40.0.0.0/16": ["192.0.40.3"]}


def test_an_xtr_is_who_the_allow_list_says() -> None:
    bench = Bench()
    unknown = replace(bench.d1, identity=identity(40, 9))
    assert drop_reason(bench.register(unknown, HOST)) == "unauthorised-xtr"
    elsewhere = replace(bench.d1, address=ip("192.0.40.2"))
    assert drop_reason(bench.register(elsewhere, HOST)) == "unauthorised-xtr"
    nowhere = replace(bench.d1, identity=XtrIdentity(bench.d1.identity.xtr_id, 99))
    assert drop_reason(bench.register(nowhere, HOST)) == "unknown-site"
    assert drop_reason(bench.register(bench.d1, HOST, key=secret_key(40, 7))) == "unknown-key"
    assert bench.mappings() == {}


@pytest.mark.requirement("MH-FWD-7")
def test_without_identity_a_registration_is_refused_unless_that_is_configured() -> None:
    bench = Bench()
    assert drop_reason(bench.register(bench.d1, HOST, xtr=None)) == "no-identity"
    lenient = Bench(require_identity=False)
    assert messages(lenient.register(lenient.d1, HOST, xtr=None), MapNotify)
    assert drop_reason(lenient.register(lenient.d1, HOST, xtr=None, nonce=5)) == "replay"
    stranger = replace(lenient.d1, address=ip("203.0.113.9"))
    assert drop_reason(lenient.register(stranger, HOST, xtr=None)) == "unauthorised-xtr"
    assert lenient.mappings() == {"40.0.0.7/32": ["192.0.40.1"]}


@pytest.mark.requirement("PR-AUTH-5")
def test_a_replayed_registration_is_dropped_and_logged() -> None:
    bench = Bench()
    captured = bench.d1.register(bench.endpoint, HOST)
    bench.server.receive(captured, 0.0)
    bench.withdraw(bench.d1, HOST)
    outputs = bench.server.receive(captured, 1.0)
    assert drop_reason(outputs) == "replay"
    (event,) = events(outputs)
    assert (event.fields["field"], event.fields["value"], event.fields["last"]) == ("nonce", 1001, 1002)
    assert bench.mappings() == {}


def test_the_same_nonce_on_other_octets_is_a_replay() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, nonce=5000)
    assert drop_reason(bench.register(bench.d1, eid("40.0.0.8"), nonce=5000)) == "replay"


@pytest.mark.requirement("PR-REG-4")
def test_a_repeated_datagram_gets_the_same_answer_and_changes_nothing() -> None:
    bench = Bench()
    datagram = bench.d1.register(bench.endpoint, HOST)
    first = sends(bench.server.receive(datagram, 0.0))
    bench.register(bench.d2, HOST, now=1.0)
    before = bench.state()
    again = bench.server.receive(datagram, 2.0)
    assert sends(again)[0] == first[0]
    assert events(again, "map-register-repeated")
    assert bench.state() == before


def test_replay_protection_is_per_xtr_and_key() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, nonce=9000)
    assert messages(bench.register(bench.d2, HOST, nonce=10), MapNotify)


@pytest.mark.requirement("PR-REG-4", "MH-MRG-3")
def test_the_acknowledgement_copies_nonce_and_records_and_is_not_repeated() -> None:
    bench = Bench()
    outputs = bench.register(bench.d1, HOST, port=50000)
    ((datagram, notify),) = [
        (one, message)
        for one in sends(outputs)
        if isinstance(message := decode(one.payload), MapNotify) and one.destination.address == bench.d1.address
    ]
    assert datagram.source == bench.endpoint
    assert datagram.destination == Endpoint(bench.d1.address, 4342)
    verify(datagram.payload, notify, bench.d1.key)
    with pytest.raises(AuthenticationError):
        verify(datagram.payload, notify, secret_key(10))
    assert notify.nonce == bench.d1.nonce
    (record,) = notify.records
    assert (record.key, record.ttl, rlocs(record)) == (HOST, 1440, ["192.0.40.1"])
    later = [output for now in (3.0, 9.0, 60.0) for output in bench.server.tick(now)]
    assert not [d for d in sends(later) if d.destination.address == bench.d1.address]


def test_without_m_bit_there_is_no_acknowledgement() -> None:
    bench = Bench()
    outputs = bench.register(bench.d1, HOST, want_notify=False)
    own = [datagram for datagram in sends(outputs) if datagram.destination.address == bench.d1.address]
    (notify,) = own  # told as member of the RLOC-set, with a nonce of the Map-Server
    message = decode(notify.payload)
    assert isinstance(message, MapNotify)
    assert message.nonce != bench.d1.nonce
    assert bench.mappings() == {"40.0.0.7/32": ["192.0.40.1"]}


def test_the_acknowledgement_may_go_to_the_source_port() -> None:
    bench = Bench(ack_port="source")
    outputs = bench.register(bench.d1, HOST, port=50000)
    assert Endpoint(bench.d1.address, 50000) in [datagram.destination for datagram in sends(outputs)]


@pytest.mark.requirement("PR-REP-1", "PR-REP-2", "SO-MAP-2", "SO-FLOW-4")
def test_registrations_are_merged_sorted_and_stripped_of_what_is_the_etrs() -> None:
    bench = Bench()
    bench.register(bench.d2, HOST)
    (notify, *_) = messages(bench.register(bench.d1, HOST), MapNotify)
    (record,) = notify.records
    assert rlocs(record) == ["192.0.40.1", "192.0.40.2"]
    assert not record.authoritative
    assert not any(locator.local or locator.probed for locator in record.locators)


def test_a_locator_listed_by_two_xtrs_is_there_once_as_its_owner_says() -> None:
    bench = Bench()
    both = [RlocRecord(ip("192.0.40.1"), priority=9, local=True), RlocRecord(ip("192.0.40.2"), priority=7)]
    bench.register(bench.d1, HOST, locators=both)
    bench.register(bench.d2, HOST, locators=[RlocRecord(ip("192.0.40.2"), priority=3, local=True)])
    bench.register(bench.d1, HOST, locators=both, ttl=1000)
    (view,) = bench.server.registrations()
    assert [(str(locator.rloc), locator.priority) for locator in view.locators] == [
        ("192.0.40.1", 9),
        ("192.0.40.2", 3),
    ]
    assert view.ttl == 1000


def test_an_xtr_replaces_only_its_own_part() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    bench.register(bench.d1, HOST, locators=[RlocRecord(ip("192.0.40.1"), priority=5, local=True)])
    (view,) = bench.server.registrations()
    assert [(str(locator.rloc), locator.priority) for locator in view.locators] == [
        ("192.0.40.1", 5),
        ("192.0.40.2", 1),
    ]


def test_without_merge_the_whole_set_is_replaced() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST, merge=False)
    assert bench.mappings() == {"40.0.0.7/32": ["192.0.40.2"]}
    (view,) = bench.server.registrations()
    assert len(view.contributions) == 1


@pytest.mark.requirement("SO-PATH-6", "SU-PATH-6", "SU-PATH-7")
def test_a_withdrawal_removes_only_the_own_locator_and_is_acknowledged_as_it_came() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST)
    bench.register(bench.d2, HOST)
    outputs = bench.withdraw(bench.d1, HOST)
    ack = next(message for message in messages(outputs, MapNotify) if message.nonce == bench.d1.nonce)
    assert ack.records[0].ttl == 0
    assert bench.mappings() == {"40.0.0.7/32": ["192.0.40.2"]}
    bench.withdraw(bench.d2, HOST)
    assert bench.mappings() == {}
    assert messages(bench.withdraw(bench.d2, HOST), MapNotify)[0].records[0].ttl == 0, (
        "a second time is acknowledged too"
    )


def test_registered_and_withdrawn_in_one_message() -> None:
    bench = Bench()
    come, gone = (
        decode(bench.d1.register(bench.endpoint, HOST).payload),
        decode(bench.d1.withdraw(bench.endpoint, HOST).payload),
    )
    assert isinstance(come, MapRegister)
    assert isinstance(gone, MapRegister)
    both = sign(replace(come, nonce=7777, records=come.records + gone.records), bench.d1.key)
    outputs = bench.server.receive(Datagram(Endpoint(bench.d1.address, 4342), bench.endpoint, both), 0.0)
    (notify,) = [one for one in messages(outputs, MapNotify, to=bench.d1) if one.nonce == 7777]
    assert [record.ttl for record in notify.records] == [0, 0]
    assert bench.mappings() == {}


@pytest.mark.requirement("PR-REG-1")
def test_a_registration_expires_180_seconds_after_the_last_refresh() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, now=0.0)
    bench.register(bench.d1, HOST, now=60.0)
    assert bench.server.registrations()[0].contributions[0].expires == 240.0
    bench.server.tick(239.9)
    assert bench.mappings() == {"40.0.0.7/32": ["192.0.40.1"]}
    outputs = bench.server.tick(240.0)
    assert events(outputs, "registration-expired")
    assert bench.mappings() == {}


@pytest.mark.requirement("PR-REG-2")
def test_with_t_bit_the_ttl_is_the_timeout() -> None:
    bench = Bench()
    bench.register(bench.d1, HOST, ttl=1, use_ttl=True)
    bench.server.tick(59.0)
    assert bench.mappings() != {}
    bench.server.tick(60.0)
    assert bench.mappings() == {}


def test_a_replay_does_not_extend_a_lease() -> None:
    bench = Bench()
    captured = bench.d1.register(bench.endpoint, HOST)
    bench.server.receive(captured, 0.0)
    bench.server.receive(captured, 170.0)
    bench.server.tick(180.0)
    assert bench.mappings() == {}


@pytest.mark.requirement("SO-REG-6", "SO-REG-12", "SO-SUB-10")
def test_metadata_goes_through_unchanged() -> None:
    bench = Bench()
    described = with_metadata(ip("192.0.40.1"), Metadata(model="GPU0", acc_id=7))
    bench.subscribe(bench.d2, eid("40.0.0.0/16"))
    outputs = bench.register(bench.d1, HOST, locators=[RlocRecord(described, local=True)])
    published = [message for message in bench.d2.ack_all(bench.server, outputs, 0.0) if message.records[0].key == HOST]
    assert [message.records[0].locators[0].metadata for message in published] == [Metadata(model="GPU0", acc_id=7)]
    assert published[0].records[0].locators[0].rloc == ip("192.0.40.1")


@pytest.mark.parametrize(
    ("locators", "reason"),
    [
        ([], "has no locators"),
        ([RlocRecord(ip("224.0.0.5"))], "locator 224.0.0.5 is no unicast address"),
        ([RlocRecord(ip("255.255.255.255"))], "locator 255.255.255.255 is no unicast address"),
        ([RlocRecord(ip("192.0.10.1"))], "locator 192.0.10.1 is no RLOC of site 40"),
    ],
)
def test_a_record_that_leads_nowhere_is_refused(locators: list[RlocRecord], reason: str) -> None:
    bench = Bench()
    outputs = bench.register(bench.d1, HOST, locators=locators)
    assert [event.fields["reason"] for event in events(outputs)] == [reason]
    assert bench.mappings() == {}


@pytest.mark.requirement("SO-MAP-3", "SO-MAP-5", "SO-REG-5")
def test_subnet_and_pair_of_gateway_eids_of_one_pxtr() -> None:
    bench = Bench()
    gateway, default = Eid(IID, DistinguishedName("pETR")), eid("0.0.0.0/0")
    bench.register(bench.d3, eid("40.0.0.0/16"))
    bench.register(bench.d3, gateway)
    bench.register(bench.d3, default)
    bench.register(bench.d4, gateway)
    assert bench.mappings() == {
        "0.0.0.0/0": ["192.0.40.3"],
        "40.0.0.0/16": ["192.0.40.3"],
        "pETR": ["192.0.40.3", "192.0.40.4"],
    }
    assert events(bench.register(bench.d3, Eid(7, DistinguishedName("pETR"))), "map-register-record-refused")


def test_the_fabric_does_not_learn_hosts() -> None:
    """Choice C24: at the Map-Server of the fabric a PoD has its subnets and nothing inside them."""
    bench = Bench(pods="AD")
    assert events(bench.register(bench.d3, HOST), "map-register-record-refused")
    assert drop_reason(bench.register(bench.d1, eid("40.0.0.0/16"))) == "unauthorised-xtr"
    assert bench.mappings() == {}
