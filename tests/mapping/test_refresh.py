"""A Map-Register that is recognized by its octets has exactly the effect of one that is read (RFC 9301 §5.6, §8.2)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import (
    CONTROL_PORT,
    Algorithm,
    Datagram,
    Endpoint,
    Key,
    MapNotify,
    MapRegister,
    RlocRecord,
    decode,
    sign,
)
from controller.lisp.auth import MacScope
from controller.mapping import MemoryStore, refresh
from controller.mapping.config import SiteConfig
from controller.mapping.store import Change, Refresh, XtrKey
from tests.compiled import FORMS, compiled_part
from tests.mapping.harness import Bench, Peer, drop_reason, eid, events, messages, secret_key, sends

COMPILED = compiled_part("controller.mapping._refresh")
HOSTS = [eid(f"40.0.0.{number}") for number in range(1, 5)]


@dataclass(frozen=True, slots=True)
class Registers:
    """What an xTR says again and again: which EIDs, how, and under which key."""

    peer: int
    hosts: tuple[int, ...]
    priority: int
    ttl: int
    key_id: int
    flags: tuple[tuple[str, int], ...]

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
    st.sampled_from([1, 1, 1, 2, 3]),
    flags,
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Registers, int, str, int]]:
    """Few different messages, most of them several times: message, step of the nonce, mischief, seconds after."""
    few = draw(st.lists(registers, min_size=1, max_size=4))
    mischief = st.sampled_from([""] * 6 + ["repeat", "flip", "elsewhere", "other object", "subscribe", "acknowledge"])
    steps = st.tuples(st.sampled_from(few), st.sampled_from([1, 1, 1, 1, 0, -1]), mischief, st.integers(0, 100))
    return draw(st.lists(steps, min_size=1, max_size=20))


KEYS = {
    1: secret_key(40),
    2: secret_key(40, 2, Algorithm.HMAC_SHA1_96),
    3: secret_key(40, 3, Algorithm.HMAC_SHA256_128_HKDF),
}
SOURCES: dict[Endpoint, Endpoint] = {}


class Remembering(MemoryStore):
    """Keeps all that was ever committed, in the form that does not depend on whose it is."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[list[object]] = []

    def commit(self, changes: Iterable[Change]) -> None:
        changes = list(changes)
        super().commit(changes)
        self.commits.append([tuple(one[::2]) if isinstance(one, Refresh) else one for one in changes])


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Recognized by Python, or by compiled code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh, "_compiled", COMPILED if request.param == "compiled" else None)
        yield request.param


def recognizers(**options: Any) -> list[Bench]:
    """Map-Servers that recognize repetitions: in Python and, where there is some, by compiled code."""
    found: list[Bench] = []
    for module in (None, COMPILED)[: 1 if COMPILED is None else 2]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refresh, "_compiled", module)
            found.append(Bench(Remembering(), refresh_table=3, sites=sites(), **options))
    return found


def sites() -> tuple[SiteConfig, ...]:
    (site,) = Bench().config.sites
    return (replace(site, keys=tuple(KEYS.values())),)


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
    source = SOURCES.setdefault(datagram.source, datagram.source)  # one object each, as a transport has them
    return datagram._replace(source=source, payload=sign(message, KEYS[said.key_id], mac_scope=scope))


@given(histories(), st.sampled_from(["records", "whole"]), st.sampled_from(["control", "source"]))
@settings(max_examples=80, deadline=None)
def test_recognized_or_read_the_outcome_is_the_same(
    history: list[tuple[Registers, int, str, int]], scope: MacScope, ack_port: str
) -> None:
    fast, *others = recognizers(ack_port=ack_port)
    slow = Bench(MemoryStore(), refresh_table=0, sites=sites(), ack_port=ack_port)
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
        elif mischief == "other object":
            datagram = datagram._replace(source=Endpoint(*datagram.source))
        elif mischief == "subscribe":
            datagram = fast.d4.request(fast.endpoint, HOSTS[said.hosts[0]], subscribe=True)
        elif mischief == "acknowledge" and told:
            datagram = fast.d4.ack(told.pop())
        last = datagram
        outputs = fast.server.receive(datagram, now)
        for other in others:
            assert other.server.receive(datagram, now) == outputs
        assert without_acceptance(outputs) == without_acceptance(slow.server.receive(datagram, now))
        to_d4 = [one for one in sends(outputs) if one.destination.address == fast.d4.address]
        told += [one for one in to_d4 if isinstance(decode(one.payload), MapNotify)]
        now += seconds + fraction
        fraction /= 2
        assert fast.server.next_deadline() == slow.server.next_deadline()
        ticked = fast.server.tick(now)
        assert ticked == slow.server.tick(now)
        compare(fast, slow)
        for other in others:
            assert other.server.tick(now) == ticked
            assert other.server.next_deadline() == fast.server.next_deadline()
            compare(fast, other)
            same_journal(fast, other)


def without_acceptance(outputs: list[Any]) -> list[Any]:
    """Nothing is reported of a refresh that is recognized."""
    accepted = events(outputs, "map-register-accepted")
    return [output for output in outputs if output not in accepted]


def compare(fast: Bench, slow: Bench) -> None:
    assert fast.state() == slow.state()
    assert fast.store.load() == slow.store.load()
    for peer in (fast.d1, fast.d2, fast.d3):  # whose last message says with which key, and where
        xtr = XtrKey(40, peer.identity.xtr_id)
        assert fast.server._state.account(xtr).latest == slow.server._state.account(xtr).latest


def same_journal(one: Bench, other: Bench) -> None:
    """What was committed, and what is recognized from now on."""
    assert list(one.server._refreshes._known) == list(other.server._refreshes._known)
    assert isinstance(one.store, Remembering)
    assert isinstance(other.store, Remembering)
    assert one.store.commits == other.store.commits


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[str, int, int, bytes]]:
    """What happens to Map-Registers on their way: kind, place, number, octets."""
    kinds = st.sampled_from(
        ["whole", "cut", "longer", "flip", "replace", "length", "nonce", "records", "twice", "from d2"]
    )
    one = st.tuples(kinds, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=20))
    return draw(st.lists(one, max_size=12))


def mutated(payload: bytes, kind: str, place: int, number: int, inserted: bytes) -> bytes:
    at = place % len(payload)
    match kind:
        case "cut":
            return payload[:at]
        case "longer":
            return payload + inserted
        case "flip":
            return payload[:at] + bytes([payload[at] ^ (1 << number % 8)]) + payload[at + 1 :]
        case "replace":
            return payload[:at] + inserted + payload[at + len(inserted) :]
        case "length":  # of the MAC
            return payload[:15] + bytes([number]) + payload[16:]
        case "nonce":
            return payload[:4] + number.to_bytes(8, "big") + payload[12:]
        case "records":  # nothing is left behind the MAC
            return payload[: 16 + payload[15]]
        case _:
            return payload


@given(
    mutations(),
    st.sampled_from([1, 2, 3]),
    st.booleans(),
    st.sampled_from(["records", "whole"]),
    st.sampled_from(["control", "source"]),
    st.sampled_from([CONTROL_PORT, 50000]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_taken_alike(
    history: list[tuple[str, int, int, bytes]],
    key_id: int,
    want_notify: bool,
    scope: MacScope,
    ack_port: str,
    port: int,
) -> None:
    """Hostile, cut, lengthened, repeated: compiled, in Python, or read, the answers, the journal and the state."""
    fast, *others = recognizers(ack_port=ack_port)
    slow = Bench(Remembering(), refresh_table=0, sites=sites(), ack_port=ack_port)
    fields = (("merge", True), ("want_notify", want_notify), ("port", port))
    said = Registers(0, (0, 1), 1, 1440, key_id, fields)
    changed = [("whole", 0, 0, b""), ("whole", 0, 0, b"")]
    for now, mutation in enumerate([*changed, *history, *changed]):
        fast.d1.nonce += 1
        datagram = octets(fast.d1, said, scope, fast)
        payload = mutated(datagram.payload, *mutation)
        for _ in range(2 if mutation[0] == "twice" else 1):
            one = datagram._replace(payload=payload)
            if mutation[0] == "from d2":
                one = one._replace(source=Endpoint(fast.d2.address, port))
            outputs = fast.server.receive(one, float(now))
            assert without_acceptance(outputs) == without_acceptance(slow.server.receive(one, float(now)))
            compare(fast, slow)
            for other in others:
                assert other.server.receive(one, float(now)) == outputs
                compare(fast, other)
                same_journal(fast, other)
    assert len(fast.server._refreshes._known) >= 1
    assert isinstance(fast.store, Remembering)
    assert any(isinstance(change, tuple) and len(change) == 2 for commit in fast.store.commits for change in commit)


def test_no_object_is_leaked(form: str) -> None:
    """Refreshes and refusals leave nothing but what replaces what the last one left."""
    bench = Bench()
    bench.register(bench.d1, *HOSTS)
    good = [bench.d1.register(bench.endpoint, *HOSTS) for _ in range(200)]
    bad = [one._replace(payload=one.payload[:20] + b"!!!!" + one.payload[24:]) for one in good]
    table = bench.server._refreshes

    def play() -> int:
        for one in good:
            held = bench.server._state.account(next(iter(bench.server._state._accounts)))
            held.receipts[1] = held.latest = held.receipts[1]._replace(nonce=0)
            assert table.refresh(one, 1.0) is not None
        for one in bad:
            assert table.refresh(one, 1.0) is None
        assert table.refresh(one._replace(payload=b"3"), 1.0) is None
        bench.server._state.journal.clear()
        gc.collect()
        return sys.getallocatedblocks()

    counts = [play() for _ in range(8)]
    growth = [after - before for before, after in pairwise(counts)]
    assert min(growth) < len(good) // 2, "every time, for every message"  # the rest of the process makes objects too


@pytest.mark.requirement("PR-AUTH-6")
@pytest.mark.usefixtures("form")
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

    table.refresh = observed  # type: ignore[assignment]
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


@pytest.mark.usefixtures("form")
def test_only_so_many_are_remembered() -> None:
    bench = Bench(refresh_table=2)
    for host in HOSTS:
        bench.register(bench.d1, host)
    assert len(bench.server._refreshes._known) == 2
