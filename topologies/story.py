"""What happened in a fabric, for people: who registered what, who was told, and which way a packet went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.app.describe import describe_datagram, unwrap
from controller.app.network import Recorded
from controller.lisp import Eid, MapNotify, MapRegister
from softswitch.reference.trace import NamedValue
from topologies.frames import describe_frame
from topologies.inprocess import Fabric
from topologies.linked_switches import CPU_PORT
from topologies.plan import SwitchPlan
from topologies.walk import Hop, Lookup


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def registrations(fabric: Fabric, record: Iterable[Recorded]) -> Table:
    """Who registered which EID with which mapping system."""
    registered: dict[tuple[str, Eid], list[str]] = defaultdict(list)
    for item in record:
        message, _ = unwrap(item.datagram)
        if isinstance(message, MapRegister):
            system = fabric.name_of(item.datagram.destination.address)
            xtr = fabric.name_of(item.datagram.source.address)
            for entry in message.records:
                if not entry.is_withdrawal and xtr not in registered[system, entry.key]:
                    registered[system, entry.key].append(xtr)
    table = _table("Registered", "at", "EID", "by (each with its own RLOC)")
    for (system, eid), xtrs in sorted(registered.items(), key=lambda item: (item[0][0], item[0][1])):
        table.add_row(system, str(eid), ", ".join(sorted(xtrs)))
    return table


def publications(fabric: Fabric, record: Iterable[Recorded]) -> Table:
    """Which EID was made known to whom by which mapping system, acknowledgements of registrations left out."""
    record = list(record)
    registers = {
        (message.nonce, item.datagram.source.address)
        for item in record
        if isinstance(message := unwrap(item.datagram)[0], MapRegister)
    }
    told: dict[tuple[str, Eid], dict[str, str]] = defaultdict(dict)
    for item in record:
        message, _ = unwrap(item.datagram)
        receiver = item.datagram.destination.address
        if isinstance(message, MapNotify) and (message.nonce, receiver) not in registers:
            system = fabric.name_of(item.datagram.source.address)
            for entry in message.records:
                rlocs = [fabric.name_of(loc.rloc) for loc in entry.locators if loc.rloc is not None]
                told[system, entry.key][fabric.name_of(receiver)] = ", ".join(rlocs) or "-"
    table = _table("Published", "by", "EID", "RLOC-set (last)", "to")
    for (system, eid), receivers in sorted(told.items(), key=lambda item: (item[0][0], item[0][1])):
        last = list(receivers.values())[-1]
        if last != "-":
            table.add_row(system, str(eid), last, ", ".join(sorted(receivers)))
    return table


def messages(fabric: Fabric, record: Iterable[Recorded]) -> list[str]:
    """The control messages in words, one line each."""
    return [describe_datagram(item.datagram, fabric.name_of) for item in record]


def value_text(part: NamedValue) -> str:
    """A value as people read it: an address where it is one."""
    if part.width in (32, 128) and 0xFFFF < part.value <= 0xFFFFFFFF:
        return str(IPv4Address(part.value))
    if part.width == 128 and part.value > 0xFFFFFFFF:
        return str(IPv6Address(part.value))
    if part.width == 48:
        return part.value.to_bytes(6, "big").hex(":")
    return str(part.value)


def _lookup(lookup: Lookup) -> Text:
    key = ", ".join(value_text(part) for part in lookup.key)
    params = ", ".join(f"{part.name}={value_text(part)}" for part in lookup.params)
    action = f"{lookup.action}({params})" if lookup.action else "-"
    mark = "hit " if lookup.hit else "miss"
    return Text.assemble(f"  {mark} ", (lookup.table, "cyan"), f" [{key}] -> ", (action, "green"))


def _port(plan: SwitchPlan, number: int) -> str:
    if number == CPU_PORT:
        return "the controller"
    peer = next((port.peer for port in plan.ports if port.number == number), "nothing")
    return f"{peer} (port {number})"


def _frame(mark: str, frame: bytes) -> Text:
    return Text.assemble(f"  {mark}   ", (" / ".join(describe_frame(frame)[1:]), "dim" if mark == "in " else ""))


# Octets in front of a frame from and to the controller: packet_out_h and packet_in_h.
PACKET_OUT, PACKET_IN = 6, 8


def show_hop(console: Console, fabric: Fabric, number: int, hop: Hop) -> None:
    """One hop: where the packet came from and went to, the tables it hit, and its headers before and after."""
    plan = fabric.plans[hop.switch]
    outcome = (
        ", ".join(_port(plan, port) for port, _ in hop.sent)
        or f"dropped: {hop.reason.name if hop.reason else hop.dropped}"
    )
    role = fabric.topology.switch(hop.switch).role
    where = f" ({role}) from {_port(plan, hop.ingress_port)} to {outcome}"
    console.print(Text.assemble(f"{number}. ", (hop.switch, "bold"), where))
    console.print(_frame("in ", hop.received[PACKET_OUT if hop.ingress_port == CPU_PORT else 0 :]))
    for lookup in hop.lookups:
        # Keyless tables are the compiler's own, or say something about every packet.
        if lookup.key:
            console.print(_lookup(lookup))
    for port, frame in hop.sent:
        console.print(_frame("out", frame[PACKET_IN if port == CPU_PORT else 0 :]))


def show_walk(console: Console, fabric: Fabric, hops: Iterable[Hop]) -> None:
    """All hops in order, with a heading where an accelerator has sent the packet."""
    for number, hop in enumerate(hops, start=1):
        plan = fabric.plans[hop.switch]
        sender = next((port.peer for port in plan.ports if port.number == hop.ingress_port and port.access), None)
        if sender is not None:
            console.print(Text(f"From {sender}:", "bold"))
        show_hop(console, fabric, number, hop)
