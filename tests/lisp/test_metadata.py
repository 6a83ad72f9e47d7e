"""Vendor LCAFs and the accelerator metadata in them."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from controller.lisp import (
    AfiList,
    DecodeError,
    DecodeOptions,
    EidRecord,
    EncodeError,
    InstanceId,
    MapNotify,
    MapRequest,
    Metadata,
    RequestRecord,
    RlocRecord,
    VendorSpecific,
    decode,
    encode,
    encode_metadata,
    with_metadata,
)
from controller.lisp.options import DEFAULT_OPTIONS
from tests.lisp.vectors import HOST, RLOC, XTR

FOREIGN_OUI = 0x001122


def refusal(octets: bytes, options: DecodeOptions = DEFAULT_OPTIONS) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(octets, options)
    return caught.value


@pytest.mark.requirement("PR-LCAF-2")
class TestVendors:
    def message(self, oui: int, data: bytes = b"\x01\x04GPU0") -> bytes:
        locator = RlocRecord(AfiList((RLOC, VendorSpecific(oui, data))))
        return encode(MapNotify(1, (EidRecord.for_eid(HOST, 5, (locator,)),)))

    def test_unknown_oui_drops_the_message(self) -> None:
        octets = self.message(FOREIGN_OUI)
        error = refusal(octets)
        assert error.field == "map-notify.records[0].locators[0].afi-list.elements[1].vendor-specific.oui"
        assert (error.value, octets[error.offset or 0 :][:3].hex()) == ("001122", "001122")

    def test_known_ouis_are_configurable(self) -> None:
        options = DecodeOptions(known_ouis=frozenset({FOREIGN_OUI}))
        message = decode(self.message(FOREIGN_OUI), options)
        assert isinstance(message, MapNotify)
        assert message.records[0].locators[0].metadata == Metadata(model="GPU0")
        assert refusal(self.message(0xACDE48), options).value == "acde48"

    def test_anywhere_in_the_message(self) -> None:
        vendor = AfiList((RLOC, VendorSpecific(FOREIGN_OUI, b"")))
        wanted = (RequestRecord.for_eid(HOST),)
        assert refusal(encode(MapRequest(1, (vendor,), wanted))).field.endswith("vendor-specific.oui")
        assert refusal(encode(MapRequest(1, (RLOC,), wanted, source_eid=vendor))).field.endswith("oui")

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"\x01", "runs past the end"),
            (b"\x01\x05GPU0", "runs past the end"),
            (b"\x02\x02\0\0", "must have 4 octets"),
            (b"\x01\x01\xff", "not ASCII"),
            (b"\x06\x01\1\x06\x01\1", "given twice"),
        ],
    )
    def test_malformed_metadata_is_refused_with_its_place(self, data: bytes, reason: str) -> None:
        octets = self.message(0xACDE48, data)
        error = refusal(octets)
        assert reason in error.reason
        assert error.offset is not None
        assert octets.index(data) <= error.offset < len(octets)


@pytest.mark.requirement("SO-SUB-4", "SU-SUB-3")
def test_metadata_in_a_request_is_understood() -> None:
    told = with_metadata(RLOC, Metadata(pod_id=4, acc_id=7))
    source = AfiList((InstanceId(0x1001, IPv4Address("10.0.0.1")), VendorSpecific(0xACDE48, b"\x06\x01\x02")))
    request = MapRequest(1, (told,), (RequestRecord.for_eid(HOST, subscribe=True),), source, xtr=XTR)
    assert decode(encode(request)) == request


def test_metadata_is_written_as_triples() -> None:
    everything = Metadata("X", 1, 2, 400, 3, 4, 0x01020304, ((200, b"?"),))
    triples = "010158 020400000001 03020002 04020190 050400000003 060104 070401020304 c8013f"
    assert encode_metadata(everything) == bytes.fromhex(triples)


@pytest.mark.parametrize(
    "wrong",
    [
        Metadata(model="é"),
        Metadata(model="x" * 256),
        Metadata(rail=65536),
        Metadata(congestion=-1),
        Metadata(other=((7, b""),)),
        Metadata(other=((8, bytes(256)),)),
    ],
)
def test_metadata_that_does_not_fit(wrong: Metadata) -> None:
    with pytest.raises(EncodeError, match=r"^metadata\."):
        encode_metadata(wrong)
