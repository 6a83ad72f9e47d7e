"""The golden corpus: the octets of every vector, and the objects that they are, written by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from controller.lisp import (
    Action,
    AfiList,
    Algorithm,
    Authenticated,
    DistinguishedName,
    Ecm,
    Eid,
    EidRecord,
    InstanceId,
    Key,
    MacScope,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    MulticastInfo,
    NoAddress,
    ReplicationEntry,
    ReplicationList,
    RequestRecord,
    RlocRecord,
    VendorSpecific,
    XtrIdentity,
)

GOLDEN: Final = Path(__file__).parent / "golden"
SECRET: Final = b"lab-psk-0001"
XTR: Final = XtrIdentity(bytes(range(0x10, 0x20)), 13)
RLOC: Final = IPv4Address("192.0.2.1")
NONCE: Final = 0x0102030405060708

HOST: Final = Eid.of(0x1001, "40.0.0.7/32")
ACC_7: Final = Eid.of(0x2001, DistinguishedName("POD-D-AccID-7"))
ACC_8: Final = Eid.of(0x2001, DistinguishedName("POD-D-AccID-8"))

OWN: Final = RlocRecord(RLOC, local=True)
RLOC_SET: Final = (RlocRecord(RLOC), RlocRecord(IPv4Address("192.0.2.2")))
MAPPING: Final = EidRecord.for_eid(HOST, 1440, RLOC_SET)


def octets_of(name: str) -> bytes:
    """Return the octets of a vector, such as "V1"."""
    lines = (GOLDEN / f"V{int(name[1:]):02}.hex").read_text(encoding="ascii").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def register(
    nonce: int, record: EidRecord, *, use_ttl: bool = False, merge: bool = False, want_notify: bool = False
) -> MapRegister:
    return MapRegister(
        nonce, (record,), proxy_reply=True, use_ttl=use_ttl, merge=merge, want_notify=want_notify, xtr=XTR
    )


def owned(eid: Eid, *locators: RlocRecord, ttl: int = 1440) -> EidRecord:
    return EidRecord.for_eid(eid, ttl, locators or (OWN,), authoritative=True)


@dataclass(frozen=True)
class Signed:
    """A vector with Authentication Data: the message before signing, and how it is signed."""

    message: Authenticated
    algorithm: Algorithm = Algorithm.HMAC_SHA256_128
    key_id: int = 1
    scope: MacScope = "records"
    full_length: bool = False
    message_key: str = ""  # hexadecimal, of algorithm 3

    @property
    def key(self) -> Key:
        return Key(self.key_id, self.algorithm, SECRET)


SIGNED: Final = {
    "V1": Signed(register(NONCE, owned(HOST), use_ttl=True, merge=True, want_notify=True)),
    "V2": Signed(
        register(NONCE, owned(HOST), use_ttl=True, merge=True, want_notify=True), scope="whole", full_length=True
    ),
    "V3": Signed(
        register(NONCE + 1, owned(ACC_7), merge=True, want_notify=True),
        Algorithm.HMAC_SHA256_128_HKDF,
        message_key="329f75f8edae7f03ff9b6f3aa9dd212ce1a6f4c48a7fd84a538bac91b92895a4",
    ),
    "V4": Signed(
        MapRegister(NONCE, (owned(HOST),), proxy_reply=True, want_notify=True),
        Algorithm.HMAC_SHA1_96,
        key_id=0,
        full_length=True,
    ),
    "V5": Signed(
        register(
            NONCE + 2,
            owned(ACC_7, RlocRecord(RLOC, priority=255, weight=0, local=True, reachable=False), ttl=0),
            merge=True,
            want_notify=True,
        )
    ),
    "V9": Signed(MapNotify(0x2222, (MAPPING,))),
    "V10": Signed(
        MapNotify(0x2222, (MAPPING,)),
        Algorithm.HMAC_SHA256_128_HKDF,
        message_key="d04bb90ed9a4c923f9d338f302fb62b73a59a1c6c53555eff7306b20f7366742",
    ),
    "V11": Signed(
        MapNotifyAck(0x2222, (MAPPING,)),
        Algorithm.HMAC_SHA256_128_HKDF,
        message_key="bc5ff625b97a49d1d6477c011cb42193f4ccdf20a7b66f7693c0e9cf6746da74",
    ),
    "V12": Signed(MapNotify(0x2223, (EidRecord.for_eid(HOST, 0),))),
    "V15": Signed(
        register(
            NONCE + 3,
            EidRecord(
                MulticastInfo(0x2001, IPv4Address("40.0.0.7"), 32, IPv4Address("239.1.1.1"), 32),
                0,
                1440,
                (RlocRecord(ReplicationList((ReplicationEntry(128, RLOC),)), mpriority=1, mweight=100, local=True),),
                authoritative=True,
            ),
            merge=True,
        )
    ),
    "V16": Signed(
        register(
            NONCE + 4,
            owned(HOST, RlocRecord(AfiList((RLOC, VendorSpecific(0xACDE48, b"\x01\x04GPU0"))), local=True)),
            want_notify=True,
        )
    ),
}

SUBSCRIPTION: Final = MapRequest(
    0x2222,
    (IPv4Address("192.0.2.11"),),
    (RequestRecord.for_eid(HOST, subscribe=True),),
    InstanceId(0x1001, IPv4Address("10.0.0.1")),
    xtr=XTR,
)
UNSIGNED: Final[dict[str, Message]] = {
    "V6": MapRequest(0x1111, (RLOC,), (RequestRecord.for_eid(ACC_8, subscribe=True),), xtr=XTR),
    "V7": SUBSCRIPTION,
    "V8": MapRequest(0x2224, (NoAddress(),), (RequestRecord.for_eid(HOST, subscribe=True),), xtr=XTR),
    "V13": MapReply(0x3333, (EidRecord.for_eid(Eid.of(0x1001, "40.0.0.99"), 1, action=Action.DROP),)),
    "V14": Ecm(IPv4Address("192.0.2.11"), IPv4Address("40.0.0.7"), 61000, 4342, octets_of("V7")),
    "V17": MapReply(0x4444, (MAPPING,)),
}


def message_of(name: str) -> Message:
    """Return the vector as the object that it must decode to."""
    if name in UNSIGNED:
        return UNSIGNED[name]
    signed = SIGNED[name]
    octets = octets_of(name)
    length = int.from_bytes(octets[14:16], "big")
    return replace(signed.message, key_id=signed.key_id, algorithm=signed.algorithm, auth_data=octets[16 : 16 + length])


CONTROL_VECTORS: Final = tuple(f"V{number}" for number in range(1, 18))
DATA_VECTORS: Final = ("V18", "V19", "V20")
