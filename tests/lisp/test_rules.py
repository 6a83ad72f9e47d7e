"""What the RFCs say about octets that are wrong, unknown or unusual, one rule a test."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from controller.lisp import (
    NO_ADDRESS,
    Action,
    Address,
    AfiList,
    DecodeError,
    DecodeOptions,
    DistinguishedName,
    Ecm,
    Eid,
    EidRecord,
    EncodeError,
    Endpoint,
    InstanceId,
    MacAddress,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    NullLcaf,
    ReplicationList,
    RequestRecord,
    RlocRecord,
    UnknownLcaf,
    XtrIdentity,
    decode,
    encode,
    sort_locators,
)
from controller.lisp.address_decode import decode_address
from controller.lisp.address_encode import encode_address
from controller.lisp.options import DEFAULT_OPTIONS
from tests.lisp.vectors import HOST, MAPPING, RLOC, XTR, octets_of

UNKNOWN = UnknownLcaf(200, b"what is this")


def refusal(octets: bytes, options: DecodeOptions = DEFAULT_OPTIONS) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(octets, options)
    return caught.value


def locators_after_the_wire(*addresses: Address) -> list[Address]:
    record = EidRecord.for_eid(HOST, 5, [RlocRecord(address) for address in addresses])
    message = decode(encode(MapReply(1, (record,))))
    assert isinstance(message, MapReply)
    return [locator.address for locator in message.records[0].locators]


def register_of(eid: Address, mask_len: int = 32) -> bytes:
    return encode(MapRegister(1, (EidRecord(eid, mask_len, 5),)))


def replaced(octets: bytes, at: int, new: str) -> bytes:
    value = bytes.fromhex(new)
    return octets[:at] + value + octets[at + len(value) :]


@pytest.mark.requirement("PR-UDP-2")
class TestUnknownAfi:
    def test_in_an_eid(self) -> None:
        error = refusal(replaced(octets_of("V13"), 34, "0063"))
        assert (error.field, error.value, error.offset) == ("map-reply.records[0].eid.instance-id.afi", 99, 34)
        assert str(error) == f"{error.field} = 99 at octet 34: unknown address family"

    def test_in_a_locator(self) -> None:
        octets = octets_of("V17")  # two locators of 12 octets at the end
        error = refusal(replaced(octets, 58, "0063"))
        assert str(error) == "map-reply.records[0].locators[1].afi = 99 at octet 58: unknown address family"

    def test_in_an_itr_rloc_and_a_source_eid(self) -> None:
        octets = octets_of("V7")
        assert refusal(replaced(octets, 30, "0063")).field == "map-request.itr-rlocs[0].afi"
        assert refusal(replaced(octets, 12, "0063")).field == "map-request.source-eid.afi"


@pytest.mark.requirement("PR-LCAF-1")
class TestUnknownLcafType:
    def test_is_ignored_among_locators(self) -> None:
        assert locators_after_the_wire(UNKNOWN, RLOC, AfiList((UNKNOWN, UNKNOWN))) == [RLOC]

    def test_leaves_the_rest_of_a_list_usable(self) -> None:
        (address,) = locators_after_the_wire(AfiList((UNKNOWN, RLOC)))
        assert RlocRecord(address).rloc == RLOC

    def test_as_the_only_locator_makes_the_mapping_negative(self) -> None:
        record = EidRecord.for_eid(HOST, 5, (RlocRecord(UNKNOWN),), Action.DROP)
        message = decode(encode(MapReply(1, (record,))))
        assert message == MapReply(1, (EidRecord.for_eid(HOST, 5, action=Action.DROP),))

    @pytest.mark.parametrize("eid", [UNKNOWN, InstanceId(7, UNKNOWN), AfiList((UNKNOWN,)), AfiList((NullLcaf(),))])
    def test_as_the_only_eid_drops_the_message(self, eid: Address) -> None:
        error = refusal(register_of(eid))
        assert error.field == "map-register.records[0].eid"
        assert error.offset == 26

    def test_beside_an_eid_is_ignored(self) -> None:
        message = decode(register_of(AfiList((UNKNOWN, InstanceId(0x1001, IPv4Address("40.0.0.7"))))))
        assert isinstance(message, MapRegister)
        assert message.records[0].key == HOST

    def test_request_with_no_other_itr_rloc_is_dropped(self) -> None:
        wanted = (RequestRecord.for_eid(HOST),)
        assert refusal(encode(MapRequest(1, (UNKNOWN, UNKNOWN), wanted))).field == "map-request.itr-rlocs"
        assert decode(encode(MapRequest(1, (UNKNOWN, RLOC), wanted))) == MapRequest(1, (UNKNOWN, RLOC), wanted)


@pytest.mark.requirement("PR-DN-1")
class TestNames:
    def read(self, octets: bytes) -> tuple[Address, int]:
        return decode_address(octets, 0, len(octets), DEFAULT_OPTIONS)

    def test_nul_ends_the_name_and_counts(self) -> None:
        assert encode_address(DistinguishedName("ab")) == b"\0\x11ab\0"
        assert self.read(b"\0\x11ab\0rest") == (DistinguishedName("ab"), 5)

    def test_empty_name(self) -> None:
        assert self.read(b"\0\x11\0") == (DistinguishedName(""), 3)
        message = decode(register_of(InstanceId(5, DistinguishedName("")), 8))
        assert isinstance(message, MapRegister)
        assert message.records[0].key == Eid.of(5, DistinguishedName(""))

    def test_octets_between_nul_and_length_are_not_used(self) -> None:
        inside = bytes.fromhex("4003 0000 02 00 000b 00000005 0011") + b"a\0zzz"
        assert self.read(inside) == (InstanceId(5, DistinguishedName("a")), len(inside))

    def test_without_nul_or_not_ascii(self) -> None:
        for octets in (b"\0\x11abc", b"\0\x11\xff\0"):
            with pytest.raises(DecodeError, match=r"^distinguished-name = "):
                self.read(octets)
        for name in ("a\0b", "ä"):
            with pytest.raises(EncodeError):
                DistinguishedName(name)

    @pytest.mark.requirement("PR-DN-2", "SU-REG-3")
    def test_mask_len_covers_the_whole_name(self) -> None:
        name = InstanceId(5, DistinguishedName("AccID-7"))
        for mask_len in (64, 0):  # 0 is what lispers.net sends
            message = decode(register_of(name, mask_len))
            assert isinstance(message, MapRegister)
            assert message.records[0].key.mask_len == 64
        error = refusal(register_of(name, 56))
        assert (error.field, error.value, error.offset) == ("map-register.records[0].eid.mask-len", 56, 21)
        assert RequestRecord.for_eid(Eid.of(5, DistinguishedName("AccID-7"))).mask_len == 64

    def test_longest_name(self) -> None:
        assert Eid.of(5, DistinguishedName("x" * 30)).mask_len == 248
        with pytest.raises(EncodeError, match="at most 30 characters"):
            Eid.of(5, DistinguishedName("x" * 31))
        assert "at most 30 characters" in refusal(register_of(InstanceId(5, DistinguishedName("x" * 31)), 0)).reason


@pytest.mark.requirement("PR-PUB-1")
def test_announced_identity_must_follow() -> None:
    for name, without in (("V7", 24), ("V7", 8), ("V7", 16), ("V1", 24), ("V1", 1)):
        error = refusal(octets_of(name)[:-without])
        assert error.field.endswith(".xtr")
        assert f"24 octets; {24 - without} are left" in error.reason


@pytest.mark.requirement("PR-REQ-4")
def test_request_needs_itr_rlocs_and_records() -> None:
    octets = encode(MapRequest(1, (RLOC, RLOC), (RequestRecord.for_eid(HOST),)))
    cut = refusal(octets[:20])  # in front of the second of two ITR-RLOCs
    assert (cut.field, cut.offset) == ("map-request.itr-rlocs[1].afi", 20)
    assert refusal(octets[:3] + b"\0" + octets[4:]).field == "map-request.records.count"
    for rlocs in ((), (RLOC,) * 33):
        with pytest.raises(EncodeError, match=r"^map-request.itr-rlocs.count"):
            encode(MapRequest(1, rlocs, (RequestRecord.for_eid(HOST),)))
    with pytest.raises(EncodeError, match=r"^map-request.records.count"):
        encode(MapRequest(1, (RLOC,), ()))
    assert decode(encode(MapRequest(1, (RLOC,) * 32, (RequestRecord.for_eid(HOST),))))


def test_lcaf_is_stepped_over_by_its_length() -> None:
    """An LCAF may hold more than this decoder reads of it, and less than its parts need."""
    longer = bytes.fromhex("4003 0000 02 00 000d 00001001 0001 28000007 ffffff 0001 c0000201")
    inner, at = decode_address(longer, 0, len(longer), DEFAULT_OPTIONS)
    assert (inner, at) == (InstanceId(0x1001, IPv4Address("40.0.0.7")), 21)
    assert decode_address(longer, at, len(longer), DEFAULT_OPTIONS) == (RLOC, len(longer))
    shorter = bytes.fromhex("4003 0000 02 00 0008 00001001 0001 28000007")
    with pytest.raises(DecodeError, match=r"^instance-id.ipv4 = 0x2800 at octet 14: truncated: 4 octets"):
        decode_address(shorter, 0, len(shorter), DEFAULT_OPTIONS)
    past = bytes.fromhex("4003 0000 02 00 ffff 00001001 0001 28000007")
    with pytest.raises(DecodeError, match=r"^lcaf.length = 65535 at octet 6: runs past the end: 10 octets left"):
        decode_address(past, 0, len(past), DEFAULT_OPTIONS)


@pytest.mark.parametrize(
    ("octets", "field", "offset"),
    [
        ("00", "afi", 0),
        ("0001 c00002", "ipv4", 2),
        ("0002 20010db8", "ipv6", 2),
        ("0006 0200000000", "mac", 2),
        ("4003 0000 02 00 00", "lcaf", 2),
        ("4003 0000 02 00 0003 000010", "instance-id.iid", 8),
        ("4003 0000 06 00 0003 10 0000", "opaque-key.field-count", 8),
        ("4003 0000 0b 00 0008 01000000 0005 aaaa", "security-key.keys[0]", 14),
        ("4003 0000 0e 00 0004 0005 7b7d", "json.json", 10),
        ("4003 0000 09 00 000e 00000001 0000 2020 0001 28000007", "multicast-info.group.afi", 22),
    ],
)
def test_addresses_that_end_too_early(octets: str, field: str, offset: int) -> None:
    wire = bytes.fromhex(octets)
    with pytest.raises(DecodeError) as caught:
        decode_address(wire, 0, len(wire), DEFAULT_OPTIONS)
    assert (caught.value.field, caught.value.offset) == (field, offset)


def test_endpoints_print_as_usual() -> None:
    assert str(Endpoint(RLOC, 4342)) == "192.0.2.1:4342"
    assert str(Endpoint(IPv6Address("::1"), 4342)) == "[::1]:4342"


def test_nesting_ends_at_four() -> None:
    address: Address = RLOC
    for depth in range(1, 5):
        address = AfiList((address,))
        octets = encode_address(address)
        assert decode_address(octets, 0, len(octets), DEFAULT_OPTIONS) == (address, len(octets)), depth
    with pytest.raises(EncodeError, match="nested deeper than 4"):
        encode_address(AfiList((address,)))
    with pytest.raises(EncodeError, match="nested deeper than 4"):
        encode_address(InstanceId(1, address))
    octets = encode_address(address)
    deeper = bytes.fromhex("4003 0000 01 00") + len(octets).to_bytes(2, "big") + octets
    with pytest.raises(DecodeError, match="nested deeper than 4"):
        decode_address(deeper, 0, len(deeper), DEFAULT_OPTIONS)


def test_reserved_bits_are_ignored() -> None:
    octets = octets_of("V17")
    noisy = replaced(replaced(octets, 1, "ffff"), 20, "f000")  # first word; in front of the map-version
    noisy = replaced(noisy, 44, "fff9")  # flags of the first locator, reserved bits set
    assert decode(noisy) == decode(octets)


def test_locator_of_afi_0_is_no_locator() -> None:
    record = EidRecord.for_eid(HOST, 5, (RlocRecord(NO_ADDRESS),), Action.DROP_AUTH)
    message = decode(encode(MapNotify(1, (record,))))
    assert isinstance(message, MapNotify)
    assert message.records[0].locators == ()
    assert message.records[0].action is Action.DROP_AUTH


@pytest.mark.parametrize("code", range(8))
def test_actions(code: int) -> None:
    record = EidRecord.for_eid(HOST, 5, action=code)
    message = decode(encode(MapReply(1, (record,))))
    assert isinstance(message, MapReply)
    assert message.records[0].action == code
    assert isinstance(message.records[0].action, Action) == (code < 6)


@pytest.mark.requirement("PR-REP-2")
def test_locators_are_sorted() -> None:
    v4 = [IPv4Address("9.0.0.1"), IPv4Address("10.0.0.1"), IPv4Address("192.0.2.1")]
    v6 = [IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")]
    lcafs: list[Address] = [AfiList((v4[2],)), InstanceId(3, v4[0]), ReplicationList(())]
    expected = [RlocRecord(address) for address in (*v4, *v6, *lcafs)]
    assert list(sort_locators(reversed(expected))) == expected
    assert list(EidRecord.for_eid(HOST, 5, reversed(expected)).locators) == expected


def test_mac_address_keeps_its_afi() -> None:
    for afi, octets in ((6, "0006 02aabbccddee"), (16389, "4005 02aabbccddee")):
        wire = bytes.fromhex(octets)
        mac, end = decode_address(wire, 0, len(wire), DEFAULT_OPTIONS)
        assert isinstance(mac, MacAddress)
        assert (mac.afi, end, str(mac)) == (afi, 8, "02:aa:bb:cc:dd:ee")
        assert encode_address(mac) == wire
    assert MacAddress(bytes(6), 6) == MacAddress(bytes(6), 16389)
    for wrong in ((bytes(5), 6), (bytes(6), 5)):
        with pytest.raises(EncodeError):
            MacAddress(*wrong)


@pytest.mark.parametrize("kind", [0, 6, 7, 9, 15])
def test_other_message_types(kind: int) -> None:
    error = refusal(bytes((kind << 4,)) + bytes(40))
    assert (error.field, error.value, error.offset) == ("type", kind, 0)


def test_trailer_of_old_map_notifies_is_accepted_but_never_sent() -> None:
    octets = octets_of("V9")
    trailer = XTR.xtr_id + XTR.site_id.to_bytes(8, "big")
    for first in ("40", "48"):  # with and without the bit that older implementations announce it by
        message = decode(bytes.fromhex(first) + octets[1:] + trailer)
        assert isinstance(message, MapNotify)
        assert (message.xtr, message.records) == (XTR, (MAPPING,))
        with pytest.raises(EncodeError, match=r"^map-notify.xtr"):
            encode(message)
    assert refusal(octets + trailer[:16]).field == "map-notify.trailing"


class TestLispersNet:
    """Tolerances of one interoperability profile, never on by default."""

    def test_subscription_trailer_without_site_id(self) -> None:
        octets = octets_of("V7")[:-8]
        message = decode(octets, DecodeOptions(short_request_trailer=True))
        assert isinstance(message, MapRequest)
        assert message.xtr == XtrIdentity(XTR.xtr_id, 0)
        assert refusal(octets).field == "map-request.xtr"

    def test_ack_that_counts_no_records(self) -> None:
        octets = replaced(octets_of("V11"), 3, "00")
        message = decode(octets, DecodeOptions(uncounted_ack_records=True))
        assert isinstance(message, MapNotifyAck)
        assert message.records == (MAPPING,)
        assert refusal(octets).field == "map-notify-ack.trailing"
        assert refusal(octets[:-1], DecodeOptions(uncounted_ack_records=True)).field.startswith(
            "map-notify-ack.records"
        )


def test_security_data_is_carried_uninterpreted() -> None:
    reply = MapReply(1, (MAPPING,), security=b"authentication data")
    assert encode(reply)[0] == 0x22
    assert decode(encode(reply)) == reply
    inside = octets_of("V7")
    for data in (b"", b"\x01 and more of it", b"\x45\x00" * 30):
        ecm = Ecm(RLOC, RLOC, 1, 4342, inside, data)
        assert encode(ecm)[0] == 0x88
        assert decode(encode(ecm)) == ecm
    assert refusal(b"\x88\0\0\0" + bytes(600)).field == "ecm.security"
    with pytest.raises(EncodeError, match=r"^ecm.security.length"):
        encode(Ecm(RLOC, RLOC, 1, 4342, inside, bytes(513)))


def test_long_values_are_shortened_in_errors() -> None:
    error = refusal(octets_of("V17") + bytes(1000))
    assert str(error) == f"map-reply.trailing = 0x{'00' * 32}... at octet 64: 1000 octets too many"
