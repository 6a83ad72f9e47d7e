"""Random expressions by both engines: unlimited integers in Python, as many bits as matter in machine code."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from softswitch.program import load_program
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.engine.support import COMPILED

DOCUMENT: dict[str, Any] = json.loads((COMPILED / "arithmetic.json").read_bytes())
_EXPRESSIONS = 24  # of a program; compiling takes longer than running
_BINARY = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>")
_COMPARISON = ("==", "!=", "<", "<=", ">", ">=")


def fields() -> list[tuple[str, str, int, bool]]:
    """Header, field, width and sign of every field that the program extracts."""
    types = {kind["name"]: kind["fields"] for kind in DOCUMENT["header_types"]}
    found = []
    for header in DOCUMENT["headers"]:
        if not header["metadata"]:
            for name, width, *sign in types[header["header_type"]]:
                if name != "_padding":
                    found.append((header["name"], name, width, bool(sign and sign[0])))
    return found


def constant(value: int) -> dict[str, Any]:
    return {"type": "hexstr", "value": f"{'-' if value < 0 else ''}{abs(value):#x}"}


def operation(op: str, left: Any, right: Any) -> dict[str, Any]:
    return {"type": "expression", "value": {"op": op, "left": left, "right": right}}


class Maker:
    """Makes expressions that stay small enough for the reference engine to be quick."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def data(self, depth: int) -> dict[str, Any]:
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            if rng.random() < 0.3:
                return constant(rng.choice((0, 1, 2, 7, 0x80, 0xFFFF, -1, -3, rng.getrandbits(33))))
            header, name, _, _ = rng.choice(fields())
            return {"type": "field", "value": [header, name]}
        match rng.randrange(6):
            case 0:
                width = constant(rng.choice((1, 4, 8, 13, 16, 32, 48)))
                return operation(rng.choice(("two_comp_mod", "sat_cast", "usat_cast")), self.data(depth - 1), width)
            case 1:
                return {
                    "type": "expression",
                    "value": {
                        "op": "?",
                        "cond": self.truth(depth - 1),
                        "left": self.data(depth - 1),
                        "right": self.data(depth - 1),
                    },
                }
            case 2:
                return operation("&", self.data(depth - 1), constant(rng.choice((0xFF, 0xFFFF, 0xFFFFFFFF))))
        op = rng.choice(_BINARY)
        right = self.data(depth - 1)
        if op in ("<<", ">>"):
            right = operation("&", right, constant(rng.choice((7, 63))))
        return operation(op, self.data(depth - 1), right)

    def truth(self, depth: int) -> dict[str, Any]:
        rng = self.rng
        if depth and rng.random() < 0.3:
            return operation(rng.choice(("and", "or")), self.truth(depth - 1), self.truth(depth - 1))
        return operation(rng.choice(_COMPARISON), self.data(depth), self.data(depth))


def program_of(rng: random.Random) -> dict[str, Any]:
    """The program with an action that assigns random expressions to its fields, one after the other."""
    document = copy.deepcopy(DOCUMENT)
    maker = Maker(rng)
    action = max(document["actions"], key=lambda a: len(a["primitives"]))
    kept = [call for call in action["primitives"] if call["op"] in ("add_header",)]
    assignments = []
    for _ in range(_EXPRESSIONS):
        header, name, _, _ = rng.choice(fields())
        target = {"type": "field", "value": [header, name]}
        assignments.append({"op": "assign", "parameters": [target, maker.data(rng.randrange(1, 4))]})
    action["primitives"] = kept + assignments
    return document


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(min_value=0, max_value=(1 << 32) - 1))
def test_both_engines_compute_the_same(seed: int) -> None:
    rng = random.Random(seed)
    loaded = load_program(program_of(rng))
    reference, native = Switch(0, clock=Clock(), engine="reference"), Switch(0, clock=Clock(), engine="native")
    for switch in (reference, native):
        switch.set_program(loaded)
    for _ in range(40):
        packet = bytes(rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256))) for _ in range(60))
        expected = reference.process(1, packet)
        assert expected, "the program answers every packet"
        assert native.process(1, packet) == expected, (seed, packet.hex())
