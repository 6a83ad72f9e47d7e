"""Whatever is lost, repeated or overtaken: when things calm down, every subscriber knows what its Map-Server knows."""

from __future__ import annotations

from random import Random

import pytest

from tests.mapping.harness import POD_LETTERS, Fabric, Weather, assert_synchronised

RENEWAL = 900.0 + 120.0
"""Until every subscription was renewed and what it did not bring was swept, in seconds."""


def act(fabric: Fabric, random: Random, restarts: bool) -> None:
    """One thing that happens in a fabric."""
    pod = random.choice("AD")
    access, border = f"{pod}{random.choice('12')}", f"{pod}{random.choice('34')}"
    host = f"{POD_LETTERS[pod]}.0.0.{random.randint(1, 6)}"
    chance = random.random()
    if chance < 0.35:
        fabric.attach(access, host)
    elif chance < 0.6:
        fabric.detach(access, host)
    elif chance < 0.85:
        anywhere = f"{POD_LETTERS[random.choice('AD')]}.0.0.{random.randint(1, 6)}"
        fabric.miss(random.choice([access, border]), anywhere, b"packet")
    elif chance < 0.9:
        xtr, subnet = fabric.xtr(border), fabric.subnet(pod)
        if random.random() < 0.5:
            fabric.net.do(fabric.node(border), xtr.detach, subnet)
        else:
            links = ("scale-up", "scale-out")
            fabric.net.do(fabric.node(border), xtr.attach, subnet, links=links, deliver=False)
    elif restarts and chance < 0.95:
        fabric.restart_server(random.choice(["SU-A", "SU-D", "SO"]))
    elif restarts:
        fabric.restart_xtr(random.choice([access, border]))


def storm(seed: int, restarts: bool) -> Fabric:
    """Forty things happen in bad weather; then the weather clears up and the last timers run."""
    random = Random(seed)
    fabric = Fabric("AD", seed=seed)
    slowest = random.choice([0.002, 0.5, 2.0])
    fabric.net.weather = Weather(random.choice([0.0, 0.1, 0.3]), random.choice([0.0, 0.2]), (0.001, slowest))
    fabric.start()
    for _ in range(40):
        fabric.net.run(random.choice([0.0, 0.1, 1.0, 5.0, 40.0]))
        act(fabric, random, restarts)
    fabric.net.weather = Weather()
    fabric.net.run(RENEWAL + 180.0)
    return fabric


@pytest.mark.requirement("MH-MRG-9", "SU-MS-6", "SO-PATH-10")
@pytest.mark.parametrize("seed", range(30))
def test_views_agree_after_a_storm(seed: int) -> None:
    fabric = storm(seed, restarts=False)
    assert_synchronised(fabric)
    for name in ("SU-A", "SU-D", "SO"):
        assert fabric.server(name).pending() == []


@pytest.mark.requirement("SU-MS-6")
@pytest.mark.parametrize("seed", range(100, 115))
def test_and_after_a_storm_with_restarts(seed: int) -> None:
    """Map-Servers come back with what they stored, xTRs with nothing."""
    assert_synchronised(storm(seed, restarts=True))


@pytest.mark.parametrize("seed", range(200, 210))
def test_in_fair_weather_views_agree_within_seconds(seed: int) -> None:
    """Without loss nothing has to wait for a renewal, however the messages overtake each other."""
    random = Random(seed)
    fabric = Fabric("AD", seed=seed)
    fabric.net.weather = Weather(0.0, 0.3, (0.001, 1.0))
    fabric.start()
    for _ in range(40):
        fabric.net.run(random.choice([0.0, 0.1, 1.0, 5.0]))
        act(fabric, random, restarts=False)
    fabric.net.run(20.0)
    assert_synchronised(fabric)


def test_the_check_itself_can_fail() -> None:
    """A map-cache that misses a publication for good is noticed."""
    fabric = Fabric("D")
    fabric.start()
    fabric.net.run(5)
    fabric.net.filter = lambda seen: seen.destination != "192.0.40.3"
    fabric.attach("D1", "40.0.0.7")
    fabric.net.run(1)
    with pytest.raises(AssertionError, match="D3 and its scale-up Map-Server disagree"):
        assert_synchronised(fabric)
