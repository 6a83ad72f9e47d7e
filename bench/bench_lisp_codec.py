"""How fast the LISP codec encodes, decodes, signs and verifies, against what this machine can do at best.

Run `python bench/bench_lisp_codec.py [--quick]`. Rates depend on the machine; the ratios are the result. The limits:

* decode: the fixed fields of the message taken out of its octets by one precompiled struct, no objects made;
* encode: the same fields packed by one precompiled struct;
* sign, verify: `hmac.digest` with SHA-256 over the octets alone. A ratio above 1 is possible: the codec hashes the
  padded key once per key, not once per message. Algorithm 3 needs three HMACs by its definition.
"""

from __future__ import annotations

import argparse
import hmac
import struct
import timeit
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import NamedTuple

from controller.lisp import (
    Action,
    Algorithm,
    Authenticated,
    DistinguishedName,
    Ecm,
    Eid,
    EidRecord,
    Key,
    MapNotify,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    Metadata,
    RequestRecord,
    RlocRecord,
    XtrIdentity,
    decode,
    encode,
    sign,
    verify,
    with_metadata,
)

REPEATS = 5
UNSEEN = 80_000  # more than any of the memories inside the codec holds
SECRET = b"a pre-shared key of usual length"
IDENTITY = XtrIdentity(bytes(range(16)), 13)
HOST = Eid.of(0x1001, "40.0.0.7/32")
ACCELERATOR = Eid.of(0x2001, DistinguishedName("POD-D-AccID-7"))
RLOCS = tuple(RlocRecord(IPv4Address(f"192.0.2.{host}")) for host in range(1, 9))
TOLD = RlocRecord(with_metadata(IPv4Address("192.0.2.1"), Metadata("GPU0", rail=3, acc_id=7)))
REQUEST = MapRequest(1, (IPv4Address("192.0.2.1"),), (RequestRecord.for_eid(HOST, subscribe=True),), xtr=IDENTITY)


def _register(*records: EidRecord) -> MapRegister:
    return MapRegister(1, records, merge=True, want_notify=True, xtr=IDENTITY)


MESSAGES: dict[str, Message] = {
    "Map-Register, IPv4 EID": _register(EidRecord.for_eid(HOST, 1440, RLOCS[:1])),
    "Map-Register, name": _register(EidRecord.for_eid(ACCELERATOR, 1440, RLOCS[:1])),
    "Map-Register, metadata": _register(EidRecord.for_eid(HOST, 1440, (TOLD,))),
    "Map-Register, 16 EIDs": _register(
        *(EidRecord.for_eid(Eid.of(0x1001, f"40.0.0.{n}"), 1440, RLOCS[:2]) for n in range(16))
    ),
    "Map-Notify, 8 locators": MapNotify(1, (EidRecord.for_eid(HOST, 1440, RLOCS),)),
    "Map-Request, subscribe": REQUEST,
    "Map-Reply, negative": MapReply(1, (EidRecord.for_eid(HOST, 1, action=Action.DROP),)),
    "ECM": Ecm(IPv4Address("192.0.2.11"), IPv4Address("40.0.0.7"), 61000, 4342, encode(REQUEST)),
}


def unseen_registers(count: int) -> list[bytes]:
    """Return registrations of `count` different EIDs by as many xTRs, more than the codec keeps in mind."""
    return [
        encode(
            MapRegister(
                1,
                (
                    EidRecord.for_eid(
                        Eid.of(0x1001, IPv4Address(base)), 1440, (RlocRecord(IPv4Address(~base & 2**32 - 1)),)
                    ),
                ),
                xtr=XtrIdentity(base.to_bytes(16, "big"), 13),
            )
        )
        for base in range(0x28000000, 0x28000000 + count)
    ]


class Row(NamedTuple):
    """One measurement: what, seconds per message, and those of the limit."""

    name: str
    operation: str
    seconds: float
    limit: float


def seconds_per_call(call: Callable[[], object], duration: float) -> float:
    """Return the best of several measurements which together take about `duration` seconds."""
    timer = timeit.Timer(call)
    timer.timeit(10)  # the first calls fill caches
    number = max(1, int(duration / REPEATS / (timer.timeit(100) / 100)))
    return min(timer.repeat(REPEATS, number)) / number


def layout_of(octets: bytes) -> struct.Struct:
    """Return a struct with as many fields as a message of this length has, about one for three octets."""
    whole, rest = divmod(len(octets), 12)
    return struct.Struct("!" + "IHHBBH" * whole + "B" * rest)


def measure(name: str, message: Message, duration: float) -> list[Row]:
    """Measure all operations that apply to `message`."""
    octets = encode(message)
    layout = layout_of(octets)
    fields = layout.unpack(octets)
    rows = [
        Row(
            name,
            "decode",
            seconds_per_call(lambda: decode(octets), duration),
            seconds_per_call(lambda: layout.unpack(octets), duration),
        ),
        Row(
            name,
            "encode",
            seconds_per_call(lambda: encode(message), duration),
            seconds_per_call(lambda: layout.pack(*fields), duration),
        ),
    ]
    if isinstance(message, Authenticated):
        for algorithm in (Algorithm.HMAC_SHA256_128, Algorithm.HMAC_SHA256_128_HKDF):
            rows += measure_authentication(name, message, Key(1, algorithm, SECRET), duration)
    return rows


def measure_unseen(count: int) -> Row:
    """Measure decoding where no EID, RLOC or xTR-ID comes twice."""
    messages = unseen_registers(count)
    layout = layout_of(messages[0])

    def decode_all() -> None:
        for octets in messages:
            decode(octets)

    def unpack_all() -> None:
        for octets in messages:
            layout.unpack(octets)

    seconds, limit = (min(timeit.repeat(call, number=1, repeat=3)) / count for call in (decode_all, unpack_all))
    return Row("Map-Register, unseen", "decode", seconds, limit)


def measure_authentication(name: str, message: Authenticated, key: Key, duration: float) -> list[Row]:
    """Measure signing (encoding included) and verifying (decoding excluded) with one key."""
    octets = sign(message, key)
    received = decode(octets)
    assert isinstance(received, Authenticated)
    limit = seconds_per_call(lambda: hmac.digest(SECRET, octets, "sha256"), duration)
    signing = seconds_per_call(lambda: sign(message, key), duration)
    verifying = seconds_per_call(lambda: verify(octets, received, key), duration)
    return [
        Row(name, f"sign, algorithm {key.algorithm:d}", signing, limit),
        Row(name, f"verify, algorithm {key.algorithm:d}", verifying, limit),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed of the LISP codec as a ratio to the machine's limit.")
    parser.add_argument("--quick", action="store_true", help="measure a tenth as long")
    quick = parser.parse_args().quick
    print(f"{'message':24} {'operation':20} {'messages/s':>12} {'µs':>8} {'limit/s':>12} {'ratio':>7}")
    rows = [measure_unseen(UNSEEN)]
    for name, message in MESSAGES.items():
        rows += measure(name, message, 0.03 if quick else 0.3)
    for row in rows:
        print(
            f"{row.name:24} {row.operation:20} {1 / row.seconds:12,.0f} {row.seconds * 1e6:8.2f}"
            f" {1 / row.limit:12,.0f} {row.limit / row.seconds:7.3f}"
        )


if __name__ == "__main__":
    main()
