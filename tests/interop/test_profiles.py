"""Profiles of foreign implementations (wire reference 13): what each tolerates, and that the default does not.

Messages in the manner of OpenOverlayRouter and lispers.net, to a Map-Server and to an xTR of ours, and what these send
to such peers.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from random import Random
from typing import Any

import pytest

from controller.lisp import (
    CONTROL_PORT,
    LISPERS,
    OOR,
    STRICT,
    Algorithm,
    Datagram,
    DistinguishedName,
    Ecm,
    Eid,
    EidRecord,
    Endpoint,
    InstanceId,
    Key,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    Profile,
    RequestRecord,
    RlocRecord,
    XtrIdentity,
    decode,
    encode,
    sign,
    verify,
)
from controller.mapping import (
    AuthorisedXtr,
    ConfigError,
    Event,
    MapServer,
    MapServerConfig,
    MemoryStore,
    NameScope,
    NonceSource,
    Send,
    SiteConfig,
    SitePrefix,
)
from controller.xtr import MappingSystemLink, Xtr, XtrConfig
from tests.lisp.vectors import octets_of

SERVER, RLOC, OTHER_RLOC = (IPv4Address(f"192.0.2.{number}") for number in (100, 1, 2))
SECRET = b"lab-psk-0001"
XTR = XtrIdentity(bytes(range(0x10, 0x20)), 13)
OTHER = XtrIdentity(bytes(range(0x20, 0x30)), 13)
SUBNET, HOST, SECOND = (Eid.of(0x1001, text) for text in ("40.0.0.0/16", "40.0.0.7", "40.0.0.8"))
NAME = Eid(0x2001, DistinguishedName("POD-D-AccID-7"))
KEYS = {
    "strict": Key(1, Algorithm.HMAC_SHA256_128, SECRET),
    "oor": Key(0, Algorithm.HMAC_SHA1_96, SECRET),
    "lispers": Key(1, Algorithm.HMAC_SHA256_128, SECRET),
}


def nonces() -> NonceSource:
    return NonceSource(1_700_000_000_000, 0.0, Random(1).getrandbits)


class Foreign:
    """A Map-Server of ours with a site of some profile, and the xTRs of that site."""

    def __init__(self, profile: Profile, *, key: Key | None = None, **fields: Any) -> None:
        self.key = key or KEYS[profile.name]
        site = SiteConfig(
            XTR.site_id,
            (self.key,),
            (SitePrefix(SUBNET, host_routes=True),),
            (NameScope(NAME.iid),) if profile.names else (),
            (AuthorisedXtr(XTR.xtr_id, (RLOC,)), AuthorisedXtr(OTHER.xtr_id, (OTHER_RLOC,))),
            profile=profile,
        )
        config = MapServerConfig(SERVER, (site,), **fields)
        self.server = MapServer(config, MemoryStore(), 0.0, nonces=nonces())

    def hear(self, payload: bytes, source: IPv4Address = RLOC, now: float = 0.0) -> list[Send | Event]:
        datagram = Datagram(Endpoint(source, CONTROL_PORT), Endpoint(SERVER, CONTROL_PORT), payload)
        return self.server.receive(datagram, now)

    def registered(self) -> list[str]:
        return [str(view.eid) for view in self.server.registrations()]


def register(
    nonce: int, key: Key, eid: Eid = HOST, xtr: XtrIdentity | None = XTR, rloc: IPv4Address = RLOC, **fields: Any
) -> bytes:
    """A Map-Register as both implementations sign it: full MAC over the whole payload."""
    records = (EidRecord.for_eid(eid, 1440, (RlocRecord(rloc, local=True),), authoritative=True),)
    message = MapRegister(nonce, records, proxy_reply=True, want_notify=True, xtr=xtr, **fields)
    return sign(message, key, mac_scope="whole", full_length=True)


def sent(outputs: Sequence[object], kind: type[Message]) -> list[Any]:
    """The messages of a kind, out of their envelopes."""
    found = []
    for output in outputs:
        if isinstance(output, Send):
            message = decode(output.datagram.payload, LISPERS.decode_options(_OPTIONS))
            if isinstance(message, Ecm):
                message = decode(message.payload, LISPERS.decode_options(_OPTIONS))
            if isinstance(message, kind):
                found.append(message)
    return found


def payloads(outputs: Sequence[object]) -> list[bytes]:
    return [output.datagram.payload for output in outputs if isinstance(output, Send)]


def reasons(outputs: Sequence[object]) -> list[object]:
    return [output.fields["reason"] for output in outputs if isinstance(output, Event) and "reason" in output.fields]


_OPTIONS = MapServerConfig(SERVER, ()).decode_options


# A Map-Server of ours for OpenOverlayRouter.


def test_a_golden_message_in_the_manner_of_openoverlayrouter_registers() -> None:
    foreign = Foreign(OOR)
    outputs = foreign.hear(octets_of("V4"))
    assert foreign.registered() == ["[4097] 40.0.0.7/32"]
    (ack,) = payloads(outputs)
    message = decode(ack)
    assert isinstance(message, MapNotify)
    assert (len(message.auth_data), message.key_id, message.algorithm) == (20, 0, 1)
    verify(ack, message, foreign.key, strict_scope="whole")
    assert ack[:4] == b"\x40\0\0\x01"  # no I bit, no trailer
    eid = message.records[0].eid
    assert isinstance(eid, InstanceId)
    assert eid.mask_len == 32  # as it writes it itself; it does not recognize its EID otherwise


def test_a_register_without_identity_is_refused_by_default() -> None:
    foreign = Foreign(STRICT, key=KEYS["oor"])
    assert reasons(foreign.hear(octets_of("V4"))) == ["no-identity"]
    assert foreign.registered() == []


def test_a_register_without_identity_counts_only_from_an_address_of_the_site() -> None:
    foreign = Foreign(OOR)
    assert reasons(foreign.hear(octets_of("V4"), IPv4Address("192.0.2.66"))) == ["no-identity"]


@pytest.mark.parametrize("profile", [OOR, LISPERS])
def test_nonces_without_order_are_tolerated(profile: Profile) -> None:
    foreign = Foreign(profile)
    xtr = XTR if profile.identity else None
    foreign.hear(register(100, foreign.key, xtr=xtr))
    outputs = foreign.hear(register(7, foreign.key, SECOND, xtr=xtr))
    assert [ack.nonce for ack in sent(outputs, MapNotify)] == [7]
    assert len(foreign.registered()) == 2
    # The same again, and changed: refreshes of such a peer are compared with nothing remembered.
    assert [ack.nonce for ack in sent(foreign.hear(register(3, foreign.key, xtr=xtr)), MapNotify)] == [3]


@pytest.mark.requirement("PR-AUTH-5")
def test_nonces_without_order_are_a_replay_by_default() -> None:
    foreign = Foreign(STRICT)
    foreign.hear(register(100, foreign.key))
    assert reasons(foreign.hear(register(7, foreign.key, SECOND))) == ["replay"]


def test_openoverlayrouter_is_not_notified_unasked() -> None:
    """It discards such Map-Notifies and never acknowledges one: they would be repeated for nothing."""
    for profile, notified in ((OOR, 0), (STRICT, 1)):
        foreign = Foreign(profile, key=KEYS["oor"], require_identity=False)
        identities = (None, None) if profile is OOR else (XTR, OTHER)
        foreign.hear(register(1, foreign.key, xtr=identities[0], merge=True))
        outputs = foreign.hear(register(2, foreign.key, xtr=identities[1], rloc=OTHER_RLOC, merge=True), OTHER_RLOC)
        unasked = [one for one in outputs if isinstance(one, Send) and one.datagram.destination.address == RLOC]
        assert len(unasked) == notified
        assert len(foreign.server.pending()) == notified


# A Map-Server of ours for lispers.net.


def test_a_golden_message_in_the_manner_of_lispers_registers() -> None:
    foreign = Foreign(LISPERS)
    (ack,) = payloads(foreign.hear(octets_of("V2")))
    assert foreign.registered() == ["[4097] 40.0.0.7/32"]
    message = decode(ack)
    assert isinstance(message, MapNotify)
    assert len(message.auth_data) == 32
    verify(ack, message, foreign.key, strict_scope="whole")
    eid = message.records[0].eid
    assert isinstance(eid, InstanceId)
    assert eid.mask_len == 0


def test_its_mac_has_to_cover_the_trailer() -> None:
    octets = sign(_golden(), KEYS["lispers"], mac_scope="records", full_length=True)
    assert reasons(Foreign(LISPERS).hear(octets)) == ["authentication-failed"]
    assert Foreign(STRICT).hear(octets)  # whereas RFC 9301 has it so
    assert Foreign(STRICT).registered() == []


def _golden() -> MapRegister:
    message = decode(octets_of("V2"))
    assert isinstance(message, MapRegister)
    return message


def subscribe(nonce: int, eid: Eid, *, short: bool = True) -> bytes:
    request = MapRequest(nonce, (RLOC,), (RequestRecord.for_eid(eid, subscribe=True),), xtr=XTR)
    inner = LISPERS.encode_request(request) if short else encode(request)
    return encode(Ecm(RLOC, IPv4Address("40.0.0.7"), CONTROL_PORT, CONTROL_PORT, inner))


def test_a_subscription_without_site_id_is_confirmed_and_its_acknowledgement_counts() -> None:
    foreign = Foreign(LISPERS)
    foreign.hear(register(1, foreign.key))
    outputs = foreign.hear(subscribe(500, HOST))
    (confirmation,) = sent(outputs, MapNotify)
    assert confirmation.nonce == 500
    assert len(foreign.server.pending()) == 1
    ack = MapNotifyAck(500, confirmation.records)
    octets = bytearray(sign(ack, foreign.key, mac_scope="whole", full_length=True))
    octets[3] = 0  # lispers.net counts none, and sends them
    octets = bytearray(_resigned(bytes(octets), foreign.key))
    foreign.hear(bytes(octets))
    assert foreign.server.pending() == []
    # A later subscription with a smaller nonce: its nonces are in no order.
    assert [one.nonce for one in sent(foreign.hear(subscribe(9, HOST)), MapNotify)] == [9]


def _resigned(octets: bytes, key: Key) -> bytes:
    """The same octets with a MAC that fits them."""
    zeroed = octets[:16] + bytes(32) + octets[48:]
    return octets[:16] + hmac.digest(key.secret, zeroed, "sha256") + octets[48:]


def test_a_subscription_without_site_id_is_malformed_by_default() -> None:
    foreign = Foreign(STRICT)
    foreign.hear(register(1, foreign.key))
    assert reasons(foreign.hear(subscribe(500, HOST))) == ["malformed"]
    assert foreign.server.subscriptions() == []


def test_a_subscription_without_site_id_is_malformed_from_anybody_else() -> None:
    assert reasons(Foreign(LISPERS).hear(subscribe(500, HOST), IPv4Address("192.0.2.66"))) == ["malformed"]


def test_subscriptions_with_smaller_nonces_are_replays_by_default() -> None:
    foreign = Foreign(STRICT)
    foreign.hear(register(1, foreign.key))
    assert sent(foreign.hear(subscribe(500, HOST, short=False)), MapNotify)
    assert reasons(foreign.hear(subscribe(9, HOST, short=False))) == ["replay"]


def test_an_acknowledgement_that_counts_no_records_acknowledges_nothing_by_default() -> None:
    foreign = Foreign(STRICT)
    foreign.hear(register(1, foreign.key))
    (confirmation,) = sent(foreign.hear(subscribe(500, HOST, short=False)), MapNotify)
    octets = bytearray(sign(MapNotifyAck(500, confirmation.records), foreign.key, mac_scope="whole", full_length=True))
    octets[3] = 0
    assert reasons(foreign.hear(_resigned(bytes(octets), foreign.key))) == ["malformed"]
    assert len(foreign.server.pending()) == 1


def test_names_are_answered_with_the_mask_len_that_lispers_gives_them() -> None:
    for profile, mask_len in ((LISPERS, 0), (STRICT, 112)):
        foreign = Foreign(profile)
        outputs = foreign.hear(register(1, foreign.key, NAME))
        (ack,) = payloads(outputs)
        assert ack[16 + len(_mac(ack)) + 5] == mask_len
        request = MapRequest(77, (RLOC,), (replace(RequestRecord.for_eid(NAME), mask_len=0),))
        (reply,) = payloads(foreign.hear(encode(request)))
        message = decode(reply)
        assert isinstance(message, MapReply)
        assert message.records[0].mask_len == mask_len
        assert message.records[0].key == NAME


def _mac(octets: bytes) -> bytes:
    message = decode(octets)
    assert isinstance(message, MapNotify)
    return message.auth_data


# An xTR of ours at a foreign Map-Server.


class AtForeign:
    """An xTR of ours whose mapping system has some profile."""

    def __init__(self, profile: Profile, **fields: Any) -> None:
        self.key = KEYS[profile.name]
        names = frozenset({NAME.iid}) if profile.names else frozenset()
        everything = Eid.of(0x1001, "0.0.0.0/0")
        link = MappingSystemLink("foreign", SERVER, (self.key,), (everything,), names, profile=profile, **fields)
        self.xtr = Xtr(XtrConfig(XTR.xtr_id, XTR.site_id, (RLOC,), (link,)), 0.0, nonces=nonces())

    def hear(self, payload: bytes, now: float = 0.0) -> list[Any]:
        datagram = Datagram(Endpoint(SERVER, CONTROL_PORT), Endpoint(RLOC, CONTROL_PORT), payload)
        return list(self.xtr.receive(datagram, now))

    def entries(self) -> dict[str, list[str]]:
        return {str(one.eid.target): [str(loc.rloc) for loc in one.locators] for one in self.xtr.map_cache()}


def told(eid: Eid, *rlocs: str, ttl: int = 15) -> EidRecord:
    return EidRecord.for_eid(eid, ttl, [RlocRecord(IPv4Address(rloc)) for rloc in rlocs])


def test_an_xtr_registers_with_openoverlayrouter_in_its_manner() -> None:
    at = AtForeign(OOR)
    (octets,) = payloads(at.xtr.attach(HOST, 0.0))
    message = decode(octets)
    assert isinstance(message, MapRegister)
    assert message.xtr is None
    assert (message.key_id, message.algorithm, len(message.auth_data)) == (0, 1, 20)
    verify(octets, message, at.key, strict_scope="whole")
    # It answers with the trailer and the I bit of its days, when it has them.
    notify = MapNotify(message.nonce, message.records)
    at.hear(sign(notify, at.key, mac_scope="whole", full_length=True))
    assert [entry.state.value for entry in at.xtr.database()] == ["registered"]


def test_an_xtr_asks_openoverlayrouter_without_subscribing() -> None:
    at = AtForeign(OOR)
    (request,) = sent(at.xtr.miss(SECOND, 0.0), MapRequest)
    assert request.xtr is None
    assert not request.records[0].subscribe
    at.hear(encode(MapReply(request.nonce, (told(SECOND, "192.0.2.2"),))))
    assert at.entries() == {"40.0.0.8/32": ["192.0.2.2"]}


def test_an_xtr_subscribes_at_lispers_without_site_id() -> None:
    for profile, octets_left in ((LISPERS, 16), (STRICT, 24)):
        at = AtForeign(profile)
        (octets,) = payloads(at.xtr.miss(SECOND, 0.0))
        envelope = decode(octets)
        assert isinstance(envelope, Ecm)
        assert envelope.payload.endswith(XTR.xtr_id + XTR.site_id.to_bytes(8, "big")[: octets_left - 16])


def subscribed(profile: Profile) -> tuple[AtForeign, int]:
    """An xTR that subscribed to SECOND, and the nonce of that."""
    at = AtForeign(profile, subscribe=(SECOND,))
    (request,) = sent(at.xtr.start(0.0), MapRequest)
    return at, request.nonce


def unsigned(nonce: int, *records: EidRecord) -> bytes:
    return encode(MapNotify(nonce, records))


def test_lispers_confirms_and_publishes_without_a_mac_and_with_one_nonce() -> None:
    at, nonce = subscribed(LISPERS)
    (ack,) = sent(at.hear(unsigned(nonce, told(SECOND, "192.0.2.2"))), MapNotifyAck)
    assert (ack.nonce, ack.algorithm, ack.auth_data) == (nonce, 0, b"")
    assert at.entries() == {"40.0.0.8/32": ["192.0.2.2"]}
    (ack,) = sent(at.hear(unsigned(nonce, told(SECOND, "192.0.2.3"))), MapNotifyAck)
    assert at.entries() == {"40.0.0.8/32": ["192.0.2.3"]}
    at.hear(unsigned(nonce, told(SECOND, ttl=0)))
    assert at.entries() == {}


@pytest.mark.requirement("PR-AUTH-8", partial=True)
def test_a_notification_without_a_mac_is_refused_by_default() -> None:
    at, nonce = subscribed(STRICT)
    outputs = at.hear(unsigned(nonce, told(SECOND, "192.0.2.2")))
    assert reasons(outputs) == ["unknown-key"]
    with_key_id = bytearray(unsigned(nonce, told(SECOND, "192.0.2.2")))
    with_key_id[12] = 1
    assert reasons(at.hear(bytes(with_key_id))) == ["authentication-failed"]
    assert at.entries() == {}
    assert not sent(outputs, MapNotifyAck)


def test_publications_with_the_nonce_of_the_last_one_are_not_news_by_default() -> None:
    at, nonce = subscribed(STRICT)
    at.hear(sign(MapNotify(nonce, (told(SECOND, "192.0.2.2"),)), at.key))
    at.hear(sign(MapNotify(nonce, (told(SECOND, "192.0.2.3"),)), at.key))
    assert at.entries() == {"40.0.0.8/32": ["192.0.2.2"]}


def test_without_a_mac_lispers_may_speak_of_nothing_that_is_not_subscribed_to() -> None:
    at, nonce = subscribed(LISPERS)
    at.hear(unsigned(nonce, told(SECOND, "192.0.2.2")))
    for records in ((told(HOST, "192.0.2.66"),), (told(SECOND, "192.0.2.66"), told(HOST, "192.0.2.66")), ()):
        assert reasons(at.hear(unsigned(nonce, *records))) == ["authentication-failed"]
    outputs = at.xtr.attach(HOST, 0.0)
    (octets,) = payloads(outputs)
    message = decode(octets)
    assert isinstance(message, MapRegister)
    assert reasons(at.hear(unsigned(message.nonce, *message.records))) == ["authentication-failed"]
    assert at.entries()["40.0.0.8/32"] == ["192.0.2.2"]


def test_names_are_registered_and_asked_for_with_mask_len_zero() -> None:
    at = AtForeign(LISPERS)
    (register_,) = sent(at.xtr.attach(NAME, 0.0), MapRegister)
    assert register_.records[0].mask_len == 0
    assert isinstance(register_.records[0].eid, InstanceId)
    other = Eid(NAME.iid, DistinguishedName("POD-D-AccID-8"))
    (request,) = sent(at.xtr.miss(other, 0.0), MapRequest)
    assert (request.records[0].mask_len, request.records[0].key) == (0, other)


# What a profile cannot be combined with.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keys": (KEYS["strict"],)}, r"sites\[0\]\.keys\[0\].*profile oor knows HMAC_SHA1_96 only"),
        ({"keys": (replace(KEYS["oor"], key_id=1),)}, r"sites\[0\]\.keys\[0\].*Key ID 0 only"),
        ({"xtrs": ()}, r"sites\[0\]\.profile = oor: is for xTRs that are listed"),
        ({"names": (NameScope(1),)}, r"sites\[0\]\.names.*knows no names"),
    ],
)
def test_a_site_has_to_fit_its_profile(fields: dict[str, Any], message: str) -> None:
    site = SiteConfig(1, (KEYS["oor"],), (SitePrefix(SUBNET),), (), (AuthorisedXtr(bytes(16), (RLOC,)),), profile=OOR)
    MapServerConfig(SERVER, (site,))
    with pytest.raises(ConfigError, match=message):
        MapServerConfig(SERVER, (replace(site, **fields),))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keys": (KEYS["lispers"],)}, r"links\[0\]\.keys\[0\].*knows HMAC_SHA1_96 only"),
        ({"name_iids": frozenset({1})}, r"links\[0\]\.name_iids.*knows no names"),
        ({"subscribe": (HOST,)}, r"links\[0\]\.subscribe.*knows no subscriptions"),
    ],
)
def test_a_link_has_to_fit_its_profile(fields: dict[str, Any], message: str) -> None:
    link = MappingSystemLink("foreign", SERVER, (KEYS["oor"],), profile=OOR)
    XtrConfig(XTR.xtr_id, 1, (RLOC,), (link,))
    with pytest.raises(ConfigError, match=message):
        XtrConfig(XTR.xtr_id, 1, (RLOC,), (replace(link, **fields),))
