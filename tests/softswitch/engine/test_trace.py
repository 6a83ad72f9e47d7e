"""Traces: the events of a packet, and what people see of them."""

from __future__ import annotations

from typing import TypeVar

from softswitch.reference import render
from softswitch.reference.trace import (
    ChecksumUpdated,
    ChecksumVerified,
    ConditionEvaluated,
    Copied,
    Deparsed,
    Dropped,
    Event,
    Extracted,
    NamedValue,
    ParserError,
    PrimitiveRun,
    Received,
    Sent,
    TableApplied,
    Transition,
)
from softswitch.state import ActionCall, CloneSession, Exact, GroupRef, Lpm, Replica
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import program, switch_with
from tests.softswitch.engine.test_router import packet


def traced(name: str) -> tuple[Switch, list[Event]]:
    events: list[Event] = []
    switch = Switch(0, trace=events.append, clock=Clock())
    switch.set_program(program(name))
    return switch, events


E = TypeVar("E", bound=Event)


def of_kind(events: list[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def test_a_routed_packet_from_end_to_end() -> None:
    switch, events = traced("router")
    switch.state.table("MainIngress.routes").insert((Lpm(0x0A000000, 8),), ActionCall("MainIngress.route_to", (7,)))
    switch.state.table("MainIngress.next_hops").insert((Exact(7),), ActionCall("MainIngress.forward", (5, 0xB)))
    sent = packet("10.1.2.3")
    ((_, left),) = switch.process(3, sent)

    assert of_kind(events, Received) == [Received(0, 3, sent)]
    assert [(e.header, e.fields[0]) for e in of_kind(events, Extracted)] == [
        ("ethernet", NamedValue("destination", 0xA, 48)),
        ("ipv4", NamedValue("version", 4, 4)),
        ("udp", NamedValue("source", 7, 16)),
    ]
    assert of_kind(events, Transition)[0] == Transition(0, "start", (NamedValue("ethernet.type", 0x800, 16),), "ipv4")
    (verified,) = of_kind(events, ChecksumVerified)
    assert verified.correct
    routes, next_hops, addresses = of_kind(events, TableApplied)
    assert routes.key == (NamedValue("headers.ipv4.destination", 0x0A010203, 32),)
    assert routes.entry is switch.state.table("MainIngress.routes").get((Lpm(0x0A000000, 8),))
    assert (routes.action, routes.params) == ("MainIngress.route_to", (NamedValue("next_hop", 7, 16),))
    assert (next_hops.action, [p.value for p in next_hops.params]) == ("MainIngress.forward", [5, 0xB])
    assert (addresses.entry, addresses.action) == (None, "NoAction")
    changes = {c.name: (c.old, c.new) for e in of_kind(events, PrimitiveRun) for c in e.changes}
    assert changes["ipv4.ttl"] == (64, 63)
    assert changes["standard_metadata.egress_spec"] == (0, 5)
    assert [e.result for e in of_kind(events, ConditionEvaluated)] == [True]
    assert len(of_kind(events, ChecksumUpdated)) == 2
    assert of_kind(events, Deparsed) == [Deparsed(0, ("ethernet", "ipv4", "udp"))]
    assert of_kind(events, Sent) == [Sent(0, 5, left)]
    assert not of_kind(events, Dropped)


def test_drops_say_where_and_why() -> None:
    switch, events = traced("router")
    switch.process(0, packet("10.1.2.3"))
    (dropped,) = of_kind(events, Dropped)
    assert (dropped.where, dropped.reason) == ("ingress", "egress_spec is the drop port")


def test_parser_errors_name_the_state() -> None:
    switch, events = traced("router")
    switch.process(0, packet("10.1.2.3")[:20])
    assert of_kind(events, ParserError) == [ParserError(0, "ipv4", "PacketTooShort")]


def test_copies_have_ids_of_their_own() -> None:
    switch, events = traced("copies")
    switch.state.clone_sessions.create(CloneSession(9, (Replica(5), Replica(6))))
    outputs = switch.process(0, bytes([3, 9]) + bytes(8))
    copies = of_kind(events, Copied)
    assert [(c.kind, c.source, c.reference, c.egress_port) for c in copies] == [
        ("ingress clone", 0, 9, 5),
        ("ingress clone", 0, 9, 6),
    ]
    assert [(e.packet, e.port) for e in of_kind(events, Sent)] == [(copies[0].packet, 5), (copies[1].packet, 6), (0, 2)]
    assert len(outputs) == 3


def test_the_chosen_member_shows() -> None:
    switch, events = traced("members")
    selector = switch.state.action_profile("MainIngress.balancer")
    selector.add_member(42, ActionCall("MainIngress.answer", (1,)))
    selector.create_group(1)
    selector.set_members(1, [(42, 1, None)])
    switch.state.table("MainIngress.balanced").insert((Exact(0),), GroupRef(1))
    switch.process(0, bytes([1, 0, 0, 0, 0, 0, 0]))
    assert [e.member for e in of_kind(events, TableApplied) if e.table == "MainIngress.balanced"] == [42]


def test_any_switch_can_explain_a_packet() -> None:
    """Without being traced otherwise, and with the state it has."""
    switch = switch_with("stateful")
    count = bytes([0, 3]) + (5).to_bytes(4)
    assert switch.process(0, count) == [(1, bytes([0, 3]) + (5).to_bytes(4))]
    outputs, events = switch.explain(0, count)
    assert outputs == [(1, bytes([0, 3]) + (10).to_bytes(4))]
    assert {c.name: (c.old, c.new) for e in of_kind(events, PrimitiveRun) for c in e.changes}["command.value"] == (
        5,
        10,
    )
    assert switch.state.register("MainIngress.cells").read(3) == 10


def test_a_trace_changes_nothing() -> None:
    plain, (watched, _) = switch_with("parsing"), traced("parsing")
    for kind in range(7):
        sent = bytes([kind, 2]) + bytes(range(30))
        assert watched.process(1, sent) == plain.process(1, sent)


def test_rendering_names_everything_a_reader_needs() -> None:
    switch, events = traced("router")
    switch.state.table("MainIngress.routes").insert((Lpm(0x0A000000, 8),), ActionCall("MainIngress.route_to", (7,)))
    switch.process(3, packet("10.1.2.3"))
    text = render(events)
    for expected in (
        "[0] received on port 3: 54 octets",
        "[0] parser state ipv4",
        "      ttl = 0x40",
        "[0] transition to udp on ipv4.fragment = 0x0000, ipv4.protocol = 0x11",
        "[0] checksum",
        "[0] table MainIngress.routes: hit -> MainIngress.route_to(next_hop = 0x0007)",
        "headers.ipv4.destination = 0x0a010203  matches 0x0a000000/8",
        "ipv4.ttl: 0x40 -> 0x3f",
        "[0] table MainIngress.next_hops: miss -> MainIngress.discard(reason = 0x00000002)",
        "[0] dropped in ingress: egress_spec is the drop port",
    ):
        assert expected in text, text


def test_every_event_has_a_text_of_its_own() -> None:
    switch, events = traced("copies")
    switch.state.clone_sessions.create(CloneSession(9, (Replica(5),)))
    switch.state.multicast.create_group(1, [Replica(1)])
    for op, argument in ((1, 1), (3, 9), (4, 9), (5, 0), (6, 2), (8, 0)):
        switch.process(0, bytes([op, argument]) + bytes(8))
    assert "Event" not in render(events)
    assert not any(line.split("] ")[1].startswith(type(e).__name__ + "(") for e in events for line in [render([e])])
