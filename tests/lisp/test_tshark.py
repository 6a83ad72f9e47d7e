"""Another decoder's opinion: every kind of message we emit, read by Wireshark's dissectors in one run."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from controller.lisp import (
    Address,
    AfiList,
    ApplicationData,
    AsNumber,
    DistinguishedName,
    Ecm,
    EidRecord,
    EncapsulationFormat,
    ExplicitLocatorPath,
    GeoCoordinates,
    InstanceId,
    JsonData,
    KeyValue,
    MacAddress,
    MapReply,
    MapRequest,
    Message,
    Metadata,
    MulticastInfo,
    NatTraversal,
    NonceLocator,
    NullLcaf,
    OpaqueKey,
    PathHop,
    ReplicationEntry,
    ReplicationList,
    RequestRecord,
    RlocRecord,
    SecurityKey,
    SourceDestKey,
    UdpPacket,
    encode,
    encode_udp_packet,
    with_metadata,
)
from controller.lisp.constants import CONTROL_PORT
from tests.lisp.vectors import CONTROL_VECTORS, DATA_VECTORS, HOST, MAPPING, RLOC, XTR, message_of, octets_of

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed: NO SECOND OPINION")

RLOC6 = IPv6Address("2001:db8::1")
GROUP = IPv4Address("239.1.1.1")
LOCATORS: tuple[Address, ...] = (
    RLOC6,
    MacAddress(b"\2\0\0\0\0\1"),
    MacAddress(b"\2\0\0\0\0\1", 16389),
    NullLcaf(),
    AfiList((RLOC, DistinguishedName("rail-1"))),
    InstanceId(5, RLOC),
    InstanceId(5, DistinguishedName("POD-D-AccID-7")),
    AsNumber(65000, RLOC),
    ApplicationData(1, 6, 1, 2, 3, 4, RLOC),
    GeoCoordinates(True, 46, 30, 0, False, 7, 2, 3, None, RLOC),
    OpaqueKey(b"abcd"),
    NatTraversal(4342, 5000, RLOC, RLOC, RLOC, (RLOC, RLOC6)),
    NonceLocator(0xABCDEF, RLOC),
    MulticastInfo(5, RLOC, 32, GROUP, 32),
    ExplicitLocatorPath((PathHop(RLOC), PathHop(RLOC6, True, True, True))),
    SecurityKey(1, (b"abc", b""), RLOC),
    SourceDestKey(RLOC, 32, RLOC6, 128),
    ReplicationList((ReplicationEntry(128, RLOC), ReplicationEntry(0, RLOC6))),
    JsonData(b"{}", RLOC),
    KeyValue(RLOC, RLOC6),
    EncapsulationFormat(1, RLOC),
    with_metadata(RLOC, Metadata(model="GPU0", acc_id=7)),
)
REQUESTED = RequestRecord.for_eid(HOST)
MESSAGES: dict[str, Message] = {
    "every flag of a request": MapRequest(
        1, (RLOC, RLOC6), (REQUESTED, REQUESTED), RLOC6, True, True, True, True, True, True, True, MAPPING, XTR
    ),
    "probe reply": MapReply(2, (MAPPING, MAPPING), probe=True, echo_nonce=True),
    "IPv6 inside ECM": Ecm(RLOC6, RLOC6, 61000, 4342, octets_of("V13"), ddt=True, to_etr=True, to_ms=True, ttl=7),
    **{f"locator {at}": MapReply(3, (EidRecord.for_eid(HOST, 5, (RlocRecord(a),)),)) for at, a in enumerate(LOCATORS)},
}

FIELDS = (
    "_ws.malformed",
    "_ws.expert.message",
    "udp.checksum.status",
    "lisp.type",
    "lisp.nonce",
    "lisp.records",
    "lisp.mapping.ttl",
    "lisp.mapping.eid.masklen",
    "lisp.loc.priority",
    "lisp.mreq.record.prefix.length",
    "lisp.lcaf.type",
    "lisp-data.iid",
    "vxlan.vni",
    "vxlan.next_proto",
)
# Where Wireshark 4.0 itself says that it knows no better.
LIMITS = {
    "Not dissected yet (report to wireshark.org)",
    "Look up the vendor's OUI (IEEE 802-2001) and contact them for support on decoding this field",
}
UNSUBSCRIBE = "Unexpected ITR-RLOC-AFI (0), cannot decode"


@dataclass(frozen=True)
class Dissected:
    fields: dict[str, list[str]]

    def numbers(self, field: str) -> list[int]:
        return [int(value, 0) for value in self.fields[field]]


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dissected]:
    payloads = {name: octets_of(name) for name in CONTROL_VECTORS}
    payloads |= {name: encode(message) for name, message in MESSAGES.items()}
    packets = {
        name: encode_udp_packet(UdpPacket(RLOC, RLOC, CONTROL_PORT, CONTROL_PORT, payload, 64))
        for name, payload in payloads.items()
    }
    packets |= {name: octets_of(name) for name in DATA_VECTORS}
    path = tmp_path_factory.mktemp("tshark") / "messages.pcap"
    write_pcap(path, list(packets.values()))
    assert TSHARK is not None
    command = [TSHARK, "-r", str(path), "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "aggregator=;"]
    command += [part for field in FIELDS for part in ("-e", field)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    rows = [line.split("\t") for line in run.stdout.split("\n")[:-1]]
    assert len(rows) == len(packets)
    return {
        name: Dissected({field: cell.split(";") if cell else [] for field, cell in zip(FIELDS, row, strict=True)})
        for name, row in zip(packets, rows, strict=True)
    }


def write_pcap(path: Path, packets: list[bytes]) -> None:
    """Write a capture of raw IP packets."""
    records = [struct.pack("<IIII", at, 0, len(packet), len(packet)) + packet for at, packet in enumerate(packets)]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(records))


def questioned_in(capture: Path, *sources: IPv4Address | IPv6Address) -> list[str]:
    """What Wireshark questions in the LISP messages that these addresses sent; without Wireshark, nothing.

    An expert item that tells Wireshark's own limits is no question.
    """
    if TSHARK is None:
        return []
    command = [TSHARK, "-r", str(capture), "-Y", "lisp", "-T", "fields", "-E", "aggregator=;", "-E", "occurrence=a"]
    fields = ("frame.number", "ip.src", "ipv6.src", "_ws.malformed", "_ws.expert.message", "udp.checksum.status")
    command += ["-o", "udp.check_checksum:TRUE", *(part for field in fields for part in ("-e", field))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = []
    for line in run.stdout.splitlines():
        number, ipv4, ipv6, malformed, expert, checksums = line.split("\t")
        texts = [text for text in expert.split(";") if text and text not in LIMITS]
        wrong = set(checksums.split(";")) - {"1"}
        # An ECM has two of them, the outer first; an IPv6 packet may have an IPv4 one inside.
        source = ip_address((ipv6 or ipv4).split(";")[0])
        if source in sources and (malformed or texts or wrong):
            found.append(f"frame {number}: {malformed} {'; '.join(texts)} checksum {checksums}")
    return found


def test_nothing_is_malformed(dissected: dict[str, Dissected]) -> None:
    assert {
        name: seen.fields["_ws.malformed"] for name, seen in dissected.items() if seen.fields["_ws.malformed"]
    } == {}


def test_nothing_is_questioned(dissected: dict[str, Dissected]) -> None:
    questioned = {
        name: rest
        for name, seen in dissected.items()
        if (rest := [text for text in seen.fields["_ws.expert.message"] if text not in LIMITS])
    }
    assert questioned == {"V8": [UNSUBSCRIBE]}  # the AFI that makes it an unsubscription, RFC 9437


def test_checksums_are_good(dissected: dict[str, Dissected]) -> None:
    for name, seen in dissected.items():
        if name not in DATA_VECTORS:
            assert set(seen.numbers("udp.checksum.status")) == {1}, name
    assert len(dissected["V14"].numbers("udp.checksum.status")) == 2  # the inner one too


@pytest.mark.parametrize("name", [*CONTROL_VECTORS, *MESSAGES])
@pytest.mark.requirement("SO-REG-4", "SO-REG-11", "SU-REG-4", "SU-REG-8", "SU-MAP-4")
def test_fields_are_seen_as_meant(dissected: dict[str, Dissected], name: str) -> None:
    seen = dissected[name]
    message = message_of(name) if name in CONTROL_VECTORS else MESSAGES[name]
    if isinstance(message, Ecm):
        assert seen.numbers("lisp.type")[0] == 8
        assert len(seen.numbers("lisp.type")) == 2
        return
    octets = encode(message)
    assert seen.numbers("lisp.type") == [octets[0] >> 4]
    if octets[0] >> 4 == 5:
        return  # Wireshark 4.0 knows the name of Map-Notify-Ack and no more
    assert seen.numbers("lisp.nonce") == [message.nonce]
    assert seen.numbers("lisp.records") == [len(message.records)]
    if isinstance(message, MapRequest):
        if name != "V8":
            assert seen.numbers("lisp.mreq.record.prefix.length") == [r.mask_len for r in message.records]
        return
    assert seen.numbers("lisp.mapping.ttl") == [record.ttl for record in message.records]
    assert seen.numbers("lisp.mapping.eid.masklen") == [record.mask_len for record in message.records]
    priorities = [locator.priority for record in message.records for locator in record.locators]
    assert seen.numbers("lisp.loc.priority") == priorities


@pytest.mark.requirement("SO-SEG-2", "SU-SEG-2")
def test_lcaf_types_are_seen_as_meant(dissected: dict[str, Dissected]) -> None:
    for name, types in {"V1": [2], "V3": [2], "V15": [9, 13], "V16": [2, 1, 255], "V7": [2, 2]}.items():
        assert dissected[name].numbers("lisp.lcaf.type") == types, name
    seen = {kind for one in dissected.values() for kind in one.numbers("lisp.lcaf.type")}
    assert seen == {*range(17), 255}


@pytest.mark.requirement("DP-3", "DP-6")
def test_data_packets_are_seen_as_meant(dissected: dict[str, Dissected]) -> None:
    assert dissected["V18"].numbers("lisp-data.iid") == [0x1001]
    assert dissected["V20"].numbers("vxlan.vni") == [0x2001]
    assert dissected["V20"].numbers("vxlan.next_proto") == [3]
