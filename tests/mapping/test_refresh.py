"""A Map-Register that is recognized by its octets has exactly the effect of one that is read (RFC 9301 §5.6, §8.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Algorithm, Datagram, Key, MapNotify, MapRegister, RlocRecord, decode, sign
from controller.lisp.auth import MacScope
from controller.mapping import MemoryStore
from tests.mapping.harness import Bench, Peer, drop_reason, eid, events, messages, secret_key, sends

HOSTS = [eid(f"40.0.0.{number}") for number in range(1, 5)]


@dataclass(frozen=True, slots=True)
class Registers:
    """What an xTR says again and again: which EIDs, how, and under which key."""

    peer: int
    hosts: tuple[int, ...]
    priority: int
    ttl: int
    key_id: int
    flags: tuple[tuple[str, bool], ...]

    @property
    def fields(self) -> dict[str, Any]:
        return dict(self.flags)


flags = st.fixed_dictionaries({name: st.booleans() for name in ("merge", "want_notify", "proxy_reply", "use_ttl")}).map(
    lambda chosen: tuple(chosen.items())
)
registers = st.builds(
    Registers,
    st.integers(0, 2),
    st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
    st.sampled_from([1, 2]),
    st.sampled_from([0, 1440, 1440, 2]),
    st.sampled_from([1, 1, 1, 3]),
    flags,
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Registers, int, str, int]]:
    """Few different messages, most of them several times: message, step of the nonce, mischief, seconds after."""
    few = draw(st.lists(registers, min_size=1, max_size=4))
    mischief = st.sampled_from([""] * 6 + ["repeat", "flip", "elsewhere", "subscribe", "acknowledge"])
    steps = st.tuples(st.sampled_from(few), st.sampled_from([1, 1, 1, 1, 0, -1]), mischief, st.integers(0, 100))
    return draw(st.lists(steps, min_size=1, max_size=20))


KEYS = {1: secret_key(40), 3: secret_key(40, 3, Algorithm.HMAC_SHA256_128_HKDF)}


def both(**options: Any) -> tuple[Bench, Bench]:
    """Two Map-Servers that differ in one thing: the first recognizes repetitions."""
    (site,) = Bench().config.sites
    sites = (replace(site, keys=tuple(KEYS.values())),)
    fast, slow = (Bench(MemoryStore(), refresh_table=size, sites=sites, **options) for size in (3, 0))
    return fast, slow


def octets(peer: Peer, said: Registers, scope: MacScope, bench: Bench) -> Datagram:
    where = [RlocRecord(peer.address, priority=said.priority, local=True)]
    datagram = peer.register(
        bench.endpoint,
        *(HOSTS[number] for number in said.hosts),
        ttl=said.ttl,
        locators=where,
        nonce=peer.nonce,
        **said.fields,
    )
    message = decode(datagram.payload)
    assert isinstance(message, MapRegister)
    return datagram._replace(payload=sign(message, KEYS[said.key_id], mac_scope=scope))


@given(histories(), st.sampled_from(["records", "whole"]), st.sampled_from(["control", "source"]))
@settings(max_examples=80, deadline=None)
def test_recognized_or_read_the_outcome_is_the_same(
    history: list[tuple[Registers, int, str, int]], scope: MacScope, ack_port: str
) -> None:
    fast, slow = both(ack_port=ack_port)
    peers = [fast.d1, fast.d2, fast.d3]
    now, fraction = 0.0, 0.5  # no two messages have the same fraction of a second, so no two leases end together
    last: Datagram | None = None
    told: list[Datagram] = []
    for said, step, mischief, seconds in history:
        peer = peers[said.peer]
        peer.nonce += step
        datagram = octets(peer, said, scope, fast)
        if mischief == "repeat" and last is not None:
            datagram = last
        elif mischief == "flip":
            place = datagram.payload[20] % len(datagram.payload)
            changed = bytearray(datagram.payload)
            changed[place] ^= 1
            datagram = datagram._replace(payload=bytes(changed))
        elif mischief == "elsewhere":
            datagram = datagram._replace(source=datagram.source._replace(port=50000))
        elif mischief == "subscribe":
            datagram = fast.d4.request(fast.endpoint, HOSTS[said.hosts[0]], subscribe=True)
        elif mischief == "acknowledge" and told:
            datagram = fast.d4.ack(told.pop())
        last = datagram
        outputs = fast.server.receive(datagram, now)
        assert without_acceptance(outputs) == without_acceptance(slow.server.receive(datagram, now))
        to_d4 = [one for one in sends(outputs) if one.destination.address == fast.d4.address]
        told += [one for one in to_d4 if isinstance(decode(one.payload), MapNotify)]
        now += seconds + fraction
        fraction /= 2
        assert fast.server.next_deadline() == slow.server.next_deadline()
        assert fast.server.tick(now) == slow.server.tick(now)
        compare(fast, slow)


def without_acceptance(outputs: list[Any]) -> list[Any]:
    """Nothing is reported of a refresh that is recognized."""
    accepted = events(outputs, "map-register-accepted")
    return [output for output in outputs if output not in accepted]


def compare(fast: Bench, slow: Bench) -> None:
    assert fast.state() == slow.state()
    assert fast.store.load() == slow.store.load()


@pytest.mark.requirement("PR-AUTH-6")
def test_refreshes_are_recognized_and_still_checked() -> None:
    bench = Bench()
    bench.register(bench.d1, *HOSTS)
    table = bench.server._refreshes
    known = table._known
    assert len(known) == 1
    read: list[Datagram] = []
    refresh = table.refresh

    def observed(datagram: Datagram, now: float) -> object:
        outputs = refresh(datagram, now)
        if outputs is None:
            read.append(datagram)
        return outputs

    table.refresh = observed  # type: ignore[method-assign,assignment]
    for number in range(1, 4):
        outputs = bench.register(bench.d1, *HOSTS, now=100.0 * number)
        assert events(outputs) == []
        (notify,) = messages(outputs, MapNotify, to=bench.d1)
        assert notify.nonce == bench.d1.nonce
    assert read == []
    old = bench.d1.register(bench.endpoint, *HOSTS, nonce=bench.d1.nonce - 1)
    assert drop_reason(bench.server.receive(old, 301.0)) == "replay"
    forged = bench.d1.register(bench.endpoint, *HOSTS, key=Key(1, Algorithm.HMAC_SHA256_128, b"guessed"))
    assert drop_reason(bench.server.receive(forged, 301.0)) == "authentication-failed"
    assert len(read) == 2
    views = bench.server.registrations()
    assert {part.expires for view in views for part in view.contributions} == {480.0}


def test_only_so_many_are_remembered() -> None:
    bench = Bench(refresh_table=2)
    for host in HOSTS:
        bench.register(bench.d1, host)
    assert len(bench.server._refreshes._known) == 2
