"""Effects as people write them: `delay=2ms,jitter=100us,loss=1%,rate=10Gbit,queue=64,seed=7`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Final

from softswitch.ports.base import PortError
from softswitch.ports.effects import Effects

_TIMES: Final = {"ns": 1, "us": 1000, "ms": 1000_000, "s": 1000_000_000}
_RATES: Final = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}
_SHARES: Final = {"%": Fraction(1, 100), "": Fraction(1)}
_COUNTS: Final = {"": 1}
_UNITS: Final[Mapping[str, Mapping[str, int | Fraction]]] = {
    "delay": _TIMES,
    "jitter": _TIMES,
    "loss": _SHARES,
    "duplicate": _SHARES,
    "reorder": _SHARES,
    "rate": _RATES,
    "queue": _COUNTS,
    "seed": _COUNTS,
}
_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z%]*)")


def parse_effects(options: Iterable[str]) -> Effects:
    """Effects of options such as `delay=2ms`; those that are left out have no effect.

    Times need a unit (ns, us, ms, s), rates too (bit, kbit, Mbit, Gbit, Tbit, each a second); probabilities are
    percentages with %, else fractions of 1.

    Raises:
        PortError: naming the option and its value.
    """
    values: dict[str, Fraction] = {}
    for option in options:
        name, separator, text = option.partition("=")
        units = _UNITS.get(name)
        if units is None or not separator:
            raise PortError(f"{option!r} is not one of {', '.join(_UNITS)} with a value")
        if name in values:
            raise PortError(f"{name} is given twice")
        values[name] = _number(name, text, units)
    shares = {name: float(value) for name, value in values.items() if _UNITS[name] is _SHARES}
    whole = {name: int(value) for name, value in values.items() if name not in shares}
    return Effects(**whole, **shares)  # type: ignore[arg-type]


def _number(name: str, text: str, units: Mapping[str, int | Fraction]) -> Fraction:
    parts = _NUMBER.fullmatch(text)
    if parts is None or parts[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        wanted = f"a number with one of the units {known}" if known else "a whole number"
        if units is _SHARES:
            wanted = "a percentage with %, or a fraction of 1"
        raise PortError(f"{name}={text}: {text!r} is not {wanted}")
    value = Fraction(parts[1]) * units[parts[2]]
    if units is not _SHARES and value.denominator != 1:
        raise PortError(f"{name}={text}: less than the smallest unit, {next(iter(units)) or '1'}, is lost")
    return value
