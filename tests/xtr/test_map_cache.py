"""The map-cache against a model, and the configuration of an xTR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.lisp import Action, Eid
from controller.xtr import (
    ConfigError,
    Kind,
    LocalEid,
    MapCacheChange,
    MapCacheEntry,
    MappingSystemLink,
    Source,
    XtrConfig,
)
from controller.xtr.map_cache import MapCache
from tests.mapping.harness import Fabric, eid, ip, secret_key
from tests.xtr.support import HOST, SUBNET, XtrBench, record

EIDS = st.sampled_from([eid(text) for text in ("0.0.0.0/0", "40.0.0.0/16", "40.0.0.0/24", "40.0.0.7", "40.0.0.8")])
RLOCS = st.lists(st.sampled_from(["192.0.40.1", "192.0.40.2", "192.0.40.3"]), max_size=3, unique=True)
OWN = ip("192.0.40.1")
NODES = st.sampled_from(["su", "su-2"])


class MapCacheMachine(RuleBasedStateMachine):
    """Learned records and own EIDs in dictionaries; the entries that should follow are worked out from them."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = MapCache((OWN,), 1440)
        self.now = 0.0
        self.learned: dict[tuple[Eid, str], tuple[list[str], float]] = {}
        self.own: dict[Eid, bool] = {}
        self.followed: dict[Eid, MapCacheEntry] = {}

    def follow(self, changes: list[MapCacheChange]) -> None:
        for change in changes:
            if change.entry is None:
                del self.followed[change.eid]
            else:
                assert not change.entry.forwards_like(self.followed.get(change.eid)), "a change that is none"
                self.followed[change.eid] = change.entry

    @rule(one=EIDS, node=NODES, rlocs=RLOCS, ttl=st.integers(1, 5))
    def learn(self, one: Eid, node: str, rlocs: list[str], ttl: int) -> None:
        rlocs = sorted(rlocs)
        self.follow(self.cache.learn(record(one, *rlocs, ttl=ttl, action=Action.DROP), node, Source.REPLY, self.now))
        self.learned.pop((one, node), None)
        self.learned[one, node] = (rlocs, self.now + 60 * ttl)

    @rule(one=EIDS, node=NODES)
    def forget(self, one: Eid, node: str) -> None:
        self.follow(self.cache.forget(one, node))
        self.learned.pop((one, node), None)

    @rule(one=EIDS, deliver=st.booleans())
    def attach(self, one: Eid, deliver: bool) -> None:
        local = MapCacheEntry(one, Kind.LOCAL, (), 0, 0, None, Source.DATABASE, "")
        self.follow(self.cache.own(one, local if deliver else None))
        self.own[one] = deliver

    @rule(one=EIDS)
    def detach(self, one: Eid) -> None:
        self.follow(self.cache.disown(one))
        self.own.pop(one, None)

    @rule(seconds=st.integers(1, 200))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        for _, _, changes in self.cache.expired(self.now):
            self.follow(changes)
        self.learned = {key: known for key, known in self.learned.items() if known[1] > self.now}

    def expected(self) -> dict[Eid, tuple[str, list[str]]]:
        entries: dict[Eid, tuple[str, list[str]]] = {}
        entries.update({one: ("local", []) for one, deliver in self.own.items() if deliver})
        for (one, _), (rlocs, _) in self.learned.items():  # of several nodes the last word is valid
            if one not in self.own:
                others = [rloc for rloc in rlocs if rloc != str(OWN)]
                entries[one] = ("forward" if others else "negative", others)
        return entries

    @invariant()
    def entries_are_as_expected(self) -> None:
        shown = {
            entry.eid: (entry.kind.value, [str(locator.rloc) for locator in entry.locators])
            for entry in self.cache.entries()
        }
        assert shown == self.expected()
        assert {one: entry.kind for one, entry in self.followed.items()} == {
            entry.eid: entry.kind for entry in self.cache.entries()
        }

    @invariant()
    def lookups_take_the_longest_match(self) -> None:
        for text in ("40.0.0.7", "40.0.0.9", "40.0.1.1", "8.8.8.8"):
            asked = eid(text)
            covering = sorted((one for one in self.expected() if one.covers(asked)), key=lambda one: one.mask_len)
            found = self.cache.lookup(asked)
            assert (found.eid if found else None) == (covering[-1] if covering else None)

    @invariant()
    def the_next_deadline_is_the_first_expiry(self) -> None:
        assert self.cache.next_deadline() == min((when for _, when in self.learned.values()), default=None)


MapCacheMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestMapCache = MapCacheMachine.TestCase


GOOD = Fabric("D").config("D3")
LINK = GOOD.links[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: replace(c, xtr_id=b"12"), "xtr_id = 3132: must have 16 octets"),
        (lambda c: replace(c, site_id=-1), "site_id = -1: must have 64 bits"),
        (lambda c: replace(c, rlocs=()), "rlocs = 0: an xTR has 1 to 32 RLOCs"),
        (lambda c: replace(c, rlocs=(ip("224.0.0.1"),)), "rlocs = 224.0.0.1: is no unicast address"),
        (lambda c: replace(c, rlocs=c.rlocs * 2), "rlocs.address = 192.0.40.3: is there twice"),
        (lambda c: replace(c, links=(), database=()), "an xTR needs a mapping system"),
        (lambda c: replace(c, links=(LINK, LINK)), "links.name = scale-up: is there twice"),
        (lambda c: replace(c, links=(replace(LINK, keys=()),), database=()), r"links\[0\].keys = \(\): a link needs"),
        (lambda c: replace(c, database=(LocalEid(HOST, ("nowhere",)),)), r"database\[0\].links = nowhere: is no link"),
        (
            lambda c: replace(c, database=(LocalEid(HOST), LocalEid(HOST))),
            r"database.eid = \[4097\] 40.0.0.7/32: is there",
        ),
        (lambda c: replace(c, weight=256), "weight = 256: has 8 bits"),
        (lambda c: replace(c, record_ttl=0), "record_ttl = 0: must be 1 minute or more"),
        (lambda c: replace(c, request_interval=0), "request_interval = 0: must be positive"),
        (lambda c: replace(c, resubscribe_share=1.0), "resubscribe_share = 1.0: must be between 0 and 1"),
        (lambda c: replace(c, queue_total=-1), "queue_total = -1: must not be negative"),
        (lambda c: replace(c, sweep_after=0.0), "sweep_after = 0.0: must be positive"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(change: Callable[[XtrConfig], XtrConfig], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        change(GOOD)


def test_a_link_must_be_reachable_from_an_rloc() -> None:
    far = MappingSystemLink("v6", IPv6Address("2001:db8::1"), (secret_key(1),))
    with pytest.raises(ConfigError, match=r"links\[0\].address = 2001:db8::1: no RLOC has this IP version"):
        replace(GOOD, links=(far,), database=())


def test_a_link_that_does_not_exist_is_refused_when_attaching() -> None:
    bench = XtrBench("D3")
    before = bench.state()
    with pytest.raises(ConfigError, match="link = nowhere: is no link"):
        bench.attach(SUBNET, links=("nowhere",))
    assert bench.state() == before
