"""Both engines, fed the same packets and entries, say and remember the same, octet for octet."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.program import Program, load_program
from tests.softswitch.engine.support import COMPILED
from tests.softswitch.native.rig import PORTS, Twins
from tests.softswitch.native.seeds import frames, mutilated, noise

ROOT = Path(__file__).resolve().parents[3]
P4RUNTIME = ROOT / "tests/softswitch/p4runtime/programs"
OURS = ROOT / "p4src/compiled/v1model"
PROGRAMS = {path.stem: path for folder in (COMPILED, P4RUNTIME) for path in sorted(folder.glob("*.json"))}
LARGE = {path.stem: path for path in sorted(OURS.glob("*.json")) if path.stem != "manifest"}

seeds = st.integers(min_value=0, max_value=(1 << 32) - 1)


@cache
def load(path: Path) -> Program:
    return load_program(path.read_bytes())


def exercise(program: Program, seed: int, packets: int, noisy: float = 0.5) -> None:
    """Some of the packets are noise, the others are frames of known protocols."""
    rng = random.Random(seed)
    twins = Twins(program, rng)
    twins.furnish()
    for _ in range(packets):
        packet = noise(rng) if rng.random() < noisy else mutilated(rng.choice(frames()), rng)
        for _ in range(3):
            twins.learn(twins.send(rng.randrange(PORTS), packet))


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_sample_programs(name: str, seed: int) -> None:
    exercise(load(PROGRAMS[name]), seed, 60, 0.8)


@pytest.mark.parametrize("name", LARGE)
@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_the_fabric_program(name: str, seed: int) -> None:
    exercise(load(LARGE[name]), seed, 50, 0.1)
