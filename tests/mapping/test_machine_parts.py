"""Timers, nonces and the checks of configurations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.lisp import Algorithm, Eid, Key
from controller.mapping import (
    AuthorisedXtr,
    ConfigError,
    MapServerConfig,
    NameScope,
    NegativePolicy,
    SiteConfig,
    SitePrefix,
)
from controller.mapping.machine import NonceSource, TimerQueue
from controller.mapping.machine.nonces import NonceUse
from tests.mapping.harness import IID, Fabric, eid, ip, secret_key


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))), max_size=200))
def test_timers_fire_once_at_their_latest_deadline(steps: list[tuple[int, int | None]]) -> None:
    timers: TimerQueue[int] = TimerQueue()
    model: dict[int, float] = {}
    for key, due in steps:
        if due is None:
            timers.cancel(key)
            model.pop(key, None)
        else:
            timers.set(key, float(due))
            model[key] = float(due)
        assert timers.next_deadline() == min(model.values(), default=None)
        assert len(timers) == len(model)
    for now in (3.0, 9.0, 20.0):
        due_now = [key for key, when in model.items() if when <= now]
        fired = list(timers.pop_due(now))
        assert sorted(fired) == sorted(due_now)
        assert [model[key] for key in fired] == sorted(model[key] for key in fired)
        for key in due_now:
            del model[key]


def test_a_timer_set_while_firing_comes_too() -> None:
    timers: TimerQueue[str] = TimerQueue()
    timers.set("a", 1.0)
    fired = []
    for key in timers.pop_due(5.0):
        fired.append(key)
        if key == "a":
            timers.set("b", 2.0)
            timers.set("c", 6.0)
    assert fired == ["a", "b"]
    assert timers.next_deadline() == 6.0


def test_counters_begin_above_every_earlier_life() -> None:
    first = NonceSource(1_700_000_000_000, 0.0)
    begun = [first.first(NonceUse.SUBSCRIPTION, now) for now in (0.0, 0.0, 0.0, 0.5, 10.0)]
    later = NonceSource(1_700_000_020_000, 0.0)
    begun.append(later.first(NonceUse.SUBSCRIPTION, 0.0))
    assert begun == sorted(set(begun))


def test_uses_of_nonces_never_meet() -> None:
    """Even when one counter began long before the other and counted ever since."""
    source = NonceSource(1_700_000_000_000, 0.0)
    late = 50 * 365 * 86400.0
    for low, high in pairwise((NonceUse.REGISTRATION, NonceUse.MEMBER, NonceUse.SUBSCRIPTION)):
        assert source.first(low, late) + 2**40 < source.first(high, 0.0)


def pod(site: int, prefix: str) -> SiteConfig:
    xtr = AuthorisedXtr(bytes([site]) * 16, (ip(f"192.0.2.{site}"),))
    return SiteConfig(site, (secret_key(site),), (SitePrefix(eid(prefix)),), xtrs=(xtr,))


@pytest.mark.requirement("SO-REG-1")
def test_overlapping_subnets_of_two_pods_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"sites\[1\].prefixes\[0\] = \[4097\] 10.0.128.0/17: overlaps \[4097\] 10.0"):
        MapServerConfig(ip("192.0.2.100"), (pod(1, "10.0.0.0/16"), pod(2, "10.0.128.0/17")))
    other = replace(pod(2, "10.0.128.0/17"), prefixes=(SitePrefix(eid("10.0.128.0/17", iid=7)),))
    MapServerConfig(ip("192.0.2.100"), (pod(1, "10.0.0.0/16"), other))


GOOD = pod(1, "10.0.0.0/16")


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (replace(GOOD, site_id=2**64), r"sites\[0\].site_id = 18446744073709551616: must have 64 bits"),
        (replace(GOOD, keys=()), r"sites\[0\].keys = \(\): a site needs a key"),
        (replace(GOOD, keys=(secret_key(1), secret_key(1))), r"sites\[0\].keys.key_id = 1: is there twice"),
        (replace(GOOD, prefixes=GOOD.prefixes * 2), r"sites\[0\].prefixes = \[4097\] 10.0.0.0/16: is there twice"),
        (replace(GOOD, xtrs=(replace(GOOD.xtrs[0], xtr_id=b"short"),)), r"xtrs\[0\].xtr_id = 73686f7274: must have 16"),
        (replace(GOOD, xtrs=(replace(GOOD.xtrs[0], rlocs=()),)), r"xtrs\[0\].rlocs = \(\): an xTR needs an RLOC"),
        (
            replace(GOOD, xtrs=(replace(GOOD.xtrs[0], rlocs=(ip("224.0.0.1"),)),)),
            r"xtrs\[0\].rlocs = 224.0.0.1: is no unicast address",
        ),
        (replace(GOOD, names=(NameScope(1 << 24),)), r"names\[0\].iid = 16777216: an instance-ID has 24 bits"),
    ],
)
def test_a_site_that_does_not_fit_is_named(site: SiteConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MapServerConfig(ip("192.0.2.100"), (site,))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": 0}, "window = 0: must be at least 1"),
        ({"path_mtu": 400}, "path_mtu = 400: must be at least 576"),
        ({"notify_delays": ()}, "notify_delays"),
        ({"registration_timeout": 0.0}, "registration_timeout = 0.0: must be positive"),
        ({"negative": NegativePolicy(unregistered_ttl=0)}, "negative.unregistered_ttl = 0"),
        ({"petr_name": ""}, "petr_name"),
    ],
)
def test_a_server_setting_that_does_not_fit_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(MapServerConfig(ip("192.0.2.100"), (GOOD,)), **fields)  # type: ignore[arg-type]


def test_sites_do_not_share_secrets_names_or_xtrs() -> None:
    address = ip("192.0.2.100")
    stolen = replace(pod(2, "20.0.0.0/16"), keys=(Key(9, Algorithm.HMAC_SHA256_128, GOOD.keys[0].secret),))
    with pytest.raises(ConfigError, match=r"sites\[1\].keys = key 9: has the secret of sites\[0\]") as caught:
        MapServerConfig(address, (GOOD, stolen))
    assert "lab-psk" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"sites.xtrs.xtr_id = 01010101010101010101010101010101: is there twice"):
        MapServerConfig(address, (GOOD, replace(pod(2, "20.0.0.0/16"), xtrs=GOOD.xtrs)))
    names = (
        replace(GOOD, names=(NameScope(5, "POD-D"),)),
        replace(pod(2, "20.0.0.0/16"), names=(NameScope(5, "POD"),)),
    )
    with pytest.raises(ConfigError, match=r"sites\[1\].names\[0\] = POD: overlaps 'POD-D' of sites\[0\]"):
        MapServerConfig(address, names)


def test_the_roles_are_valid_configurations() -> None:
    fabric = Fabric("ABCD")
    assert set(fabric.net.nodes) == {f"{p}{n}" for p in "ABCD" for n in "1234"} | {f"SU-{p}" for p in "ABCD"} | {"SO"}
    assert Eid.of(IID, "40.0.0.0/16") in [p.eid for p in fabric.server("SU-D").config.sites[0].prefixes]
