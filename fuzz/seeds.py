"""Makes the seeds of the corpus from the golden vectors: `python -m fuzz.seeds`. What fuzzing found stays there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from controller.lisp import (
    Action,
    Eid,
    EidRecord,
    MapNotify,
    MapReply,
    MapRequest,
    Message,
    RequestRecord,
    XtrIdentity,
    decode,
    encode,
)
from controller.lisp.address_encode import encode_address
from controller.lisp.constants import DATA_PORT
from fuzz.machines import AUTHENTIC, AWAITED, EVERYTHING, NEXT, RLOCS, SITE, SUBNET, WAIT, XTR_IDS, Step
from fuzz.targets import CORPUS
from tests.lisp.test_tshark import LOCATORS, MESSAGES
from tests.lisp.vectors import CONTROL_VECTORS, DATA_VECTORS, MAPPING, NONCE, RLOC_SET, octets_of

FAR = Eid.of(EVERYTHING.iid, "10.0.0.0/8")
_KINDS = {1: "map_request", 2: "map_reply", 3: "map_register", 4: "map_notify", 5: "map_notify_ack", 8: "ecm"}


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Target, name and octets of every seed."""
    messages = {name: octets_of(name) for name in CONTROL_VECTORS}
    messages |= {name: encode(message) for name, message in MESSAGES.items() if not name.startswith("locator")}
    by_kind: defaultdict[int, list[bytes]] = defaultdict(list)
    for name, octets in messages.items():
        kind = octets[0] >> 4
        by_kind[kind].append(octets)
        yield _KINDS[kind], name.replace(" ", "-"), octets
    for number, locator in enumerate(LOCATORS):
        octets = encode_address(locator)
        yield "address", f"locator-{number}", octets
        if octets[:2] == b"\x40\x03":
            yield "lcaf", f"locator-{number}", octets[2:]
    yield "metadata", "GPU0", bytes.fromhex("010447505530")
    yield "metadata", "all", bytes.fromhex("0104475055300204000000010302000104020190050400000009060101070400000007")
    yield "udp_packet", "V14-inner", octets_of("V14")[4:]
    for name in DATA_VECTORS:
        packet = octets_of(name)
        port = int.from_bytes(packet[22:24], "big")
        yield "tunnel_header", name, bytes((0 if port == DATA_PORT else 2,)) + packet[28:36]
        yield "frame", name, bytes(12) + b"\x08\x00" + packet
    yield from _conversations(by_kind)


def _conversations(by_kind: dict[int, list[bytes]]) -> Iterator[tuple[str, str, bytes]]:
    registers = [Step(AUTHENTIC, octets) for octets in by_kind[3]]
    subscribe = MapRequest(
        NONCE, (RLOCS[0],), (RequestRecord.for_eid(SUBNET, subscribe=True),), xtr=XtrIdentity(XTR_IDS[0], SITE)
    )
    requests = [Step(source, octets) for source, octets in enumerate([*by_kind[1], *by_kind[8]])]
    acks = [Step(AUTHENTIC | AWAITED | 1, octets) for octets in by_kind[5]]
    notifies = by_kind[4]
    for number, register in enumerate(registers):
        for name, rest in (("asked", requests[:3]), ("subscribed", [Step(0, encode(subscribe)), *acks])):
            yield "map_server", f"register-{number}-{name}", b"".join(step.encode() for step in [register, *rest])
    expiry = [registers[0], *requests[1:3], Step(WAIT | AUTHENTIC, notifies[0]), Step(WAIT, b"\x10")]
    yield "map_server", "expiry", b"".join(step.encode() for step in expiry)
    told: list[tuple[Eid, Message]] = [
        (SUBNET, MapNotify(0, (EidRecord.for_eid(SUBNET, 15, action=Action.SEND_MAP_REQUEST), MAPPING))),
        (EVERYTHING, MapNotify(0, (EidRecord.for_eid(EVERYTHING, 15, RLOC_SET), EidRecord.for_eid(FAR, 15, RLOC_SET)))),
        (EVERYTHING, MapReply(0, (EidRecord.for_eid(EVERYTHING, 15, action=Action.DROP),))),
    ]
    for number, (eid, message) in enumerate(told):
        for back in range(8):
            first = Step(AUTHENTIC | AWAITED | (eid is EVERYTHING), encode(message), back)
            news = Step(AUTHENTIC | NEXT | (eid is EVERYTHING), encode(told[eid is EVERYTHING][1]), back)
            yield "xtr", f"told-{number}-{back}", b"".join(step.encode() for step in (first, news, Step(WAIT, b"")))
    for number, octets in enumerate([*notifies, *by_kind[2]]):
        for back in range(8):
            first = Step(AUTHENTIC | AWAITED, octets, back)
            steps = [first, Step(AUTHENTIC | NEXT, notifies[-1], back), Step(WAIT | 2, by_kind[1][0])]
            yield "xtr", f"answer-{number}-{back}", b"".join(step.encode() for step in steps)


def main() -> None:
    """Write the seeds."""
    for target, name, octets in seeds():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(octets)
        if target in _KINDS.values():
            decode(octets)  # a seed gets somewhere


if __name__ == "__main__":
    main()
