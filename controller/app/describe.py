"""Control messages in words: one line for each, with the names of the topology in place of addresses."""

from __future__ import annotations

from collections.abc import Callable

from controller.lisp import (
    Action,
    Datagram,
    DecodeError,
    Ecm,
    EidRecord,
    IPAddress,
    MapNotify,
    MapNotifyAck,
    MapRegister,
    MapReply,
    MapRequest,
    Message,
    RequestRecord,
    RlocRecord,
    decode,
)

NameOf = Callable[[IPAddress], str]

_REGISTER_FLAGS = (("proxy_reply", "P"), ("use_ttl", "T"), ("merge", "a"), ("want_notify", "M"))


def unwrap(datagram: Datagram) -> tuple[Message, bool]:
    """The message of a datagram, out of its encapsulation if it has one (then True). Raises DecodeError."""
    message = decode(datagram.payload)
    if isinstance(message, Ecm):
        return decode(message.payload), True
    return message, False


def describe_locator(locator: RlocRecord, name_of: NameOf) -> str:
    """`D1 (1/100)`: the RLOC with its priority and weight; `D1 (1/100, in 4098)` with another Instance-ID's tunnels."""
    where = name_of(locator.rloc) if locator.rloc is not None else str(locator.address)
    crossing = "" if locator.iid is None else f", in {locator.iid}"
    return f"{where} ({locator.priority}/{locator.weight}{crossing})"


def describe_record(record: EidRecord, name_of: NameOf) -> str:
    """`[4097] 40.0.0.7/32 -> D1 (1/100), D2 (1/100)`, or what else the record says about its EID."""
    if record.locators:
        return f"{record.key} -> {', '.join(describe_locator(locator, name_of) for locator in record.locators)}"
    if record.ttl == 0:
        return f"{record.key} withdrawn"
    action = record.action
    name = action.name if isinstance(action, Action) else f"ACT_{action}"
    return f"{record.key} -> no locator, {name}, TTL {record.ttl} min"


def _request_record(record: RequestRecord) -> str:
    return f"{record.key}{' N' if record.subscribe else ''}"


def describe_message(message: Message, name_of: NameOf) -> str:
    """Type, flags and records of a message."""
    match message:
        case MapRegister():
            flags = " ".join(letter for field, letter in _REGISTER_FLAGS if getattr(message, field))
            records = "; ".join(
                f"withdraw {record.key}" if record.is_withdrawal else describe_record(record, name_of)
                for record in message.records
            )
            return f"Map-Register [{flags}{' I' if message.xtr else ''}] {records}"
        case MapRequest():
            flags = " [I]" if message.xtr else ""
            return f"Map-Request{flags} {'; '.join(map(_request_record, message.records))}"
        case MapReply():
            kind = "Map-Reply"
        case MapNotify():
            kind = "Map-Notify"
        case MapNotifyAck():
            return f"Map-Notify-Ack {'; '.join(str(record.key) for record in message.records)}"
        case _:
            return type(message).__name__
    return f"{kind} {'; '.join(describe_record(record, name_of) for record in message.records)}"


def describe_datagram(datagram: Datagram, name_of: NameOf) -> str:
    """`A1 -> SU-MS-A  ECM(Map-Request [I] [4097] 40.0.0.7/32 N)`."""
    ends = f"{name_of(datagram.source.address)} -> {name_of(datagram.destination.address)}"
    try:
        message, encapsulated = unwrap(datagram)
    except DecodeError as error:
        return f"{ends}  {error}"
    text = describe_message(message, name_of)
    return f"{ends}  {f'ECM({text})' if encapsulated else text}"
