"""Counter values and meter configurations: the parts that indexed, direct and table-entry access have in common."""

from __future__ import annotations

import copy
from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import P4RuntimeError, invalid_argument, unimplemented
from softswitch.p4runtime.schema import Counter, Meter, MeterKind, Table
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import Entry, MeterConfig
from softswitch.state import Table as TableState

_MAX_COUNT: Final = (1 << 63) - 1


def check_counter_data(data: p4rt.CounterData, where: str) -> None:
    """Lets counts that are not negative pass.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`.
    """
    if data.packet_count < 0 or data.byte_count < 0:
        raise invalid_argument(
            f"{where}: the counts {data.packet_count} packets and {data.byte_count} bytes must not be negative"
        )


def counter_data(counter: Counter, packets: int, octets: int) -> p4rt.CounterData:
    """A counter's value in the units that it has; the other one stays 0. Counts go on at 0 after 2^63 - 1."""
    return p4rt.CounterData(
        packet_count=packets & _MAX_COUNT if counter.packets else 0,
        byte_count=octets & _MAX_COUNT if counter.bytes else 0,
    )


def decode_meter_config(meter: Meter, config: p4rt.MeterConfig, where: str) -> MeterConfig:
    """A configuration that the meter takes.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT if the numbers do not suit the meter's type (specification section
            "MeterEntry & DirectMeterEntry"), UNIMPLEMENTED for an excess burst, which bmv2's meters have not.
    """
    for name in ("cir", "cburst", "pir", "pburst", "eburst"):
        if getattr(config, name) < 0:
            raise invalid_argument(f"{where}: {name} {getattr(config, name)} is negative")
    if config.pir < config.cir:
        raise invalid_argument(f"{where}: pir {config.pir} is less than cir {config.cir}")
    if meter.kind != MeterKind.TWO_RATE_THREE_COLOR and (config.cir, config.cburst) != (config.pir, config.pburst):
        raise invalid_argument(f"{where}: a single-rate meter needs cir == pir and cburst == pburst")
    if config.eburst and meter.kind != MeterKind.SINGLE_RATE_THREE_COLOR:
        raise invalid_argument(f"{where}: eburst {config.eburst} is for single-rate three-color meters only")
    if config.eburst:
        raise unimplemented(f"{where}: eburst {config.eburst}: the meters of this switch have no excess burst")
    return MeterConfig(config.cir, config.cburst, config.pir, config.pburst)


def encode_meter_config(config: MeterConfig) -> p4rt.MeterConfig:
    """The message of a configuration."""
    return p4rt.MeterConfig(cir=config.cir, cburst=config.cburst, pir=config.pir, pburst=config.pburst)


def set_direct_counter(undo: UndoLog, state: TableState, entry: Entry, data: p4rt.CounterData, where: str) -> None:
    """Sets the direct counter of an entry of `state`.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where`.
    """
    check_counter_data(data, where)
    old = entry.packets, entry.bytes

    def restore() -> None:
        current = state.get(entry.match, entry.priority)  # another object, if the entry was deleted since
        current.packets, current.bytes = old

    entry.packets, entry.bytes = data.packet_count, data.byte_count
    undo.push(restore)


def set_direct_meter(
    undo: UndoLog, state: TableState, table: Table, entry: Entry, config: p4rt.MeterConfig | None
) -> None:
    """Configures the direct meter of an entry of `state`; None makes every packet green again.

    Raises:
        P4RuntimeError, StateError: the configuration is refused.
    """
    where = f"table {table.name}: meter_config"
    if table.meter is None or entry.meter is None:
        raise no_direct_meter(table)
    new = decode_meter_config(table.meter, config, where) if config is not None else None
    old, cell = copy.copy(entry.meter), copy.copy(entry.meter)
    if new is None:
        cell.reset()
    else:
        cell.set_config(new.cir, new.cburst, new.pir, new.pburst)

    def restore() -> None:
        state.get(entry.match, entry.priority).meter = old

    entry.meter = cell
    undo.push(restore)


def no_direct_counter(table: Table) -> P4RuntimeError:
    """What to raise when a counter value comes for a table without direct counter."""
    return invalid_argument(f"table {table.name}: it has no direct counter")


def no_direct_meter(table: Table) -> P4RuntimeError:
    """What to raise when a meter configuration comes for a table without direct meter."""
    return invalid_argument(f"table {table.name}: it has no direct meter")


def refuse_meter_counters(where: str) -> P4RuntimeError:
    """What to raise when a request touches per-color counters."""
    return unimplemented(f"{where}: this switch keeps no per-color meter counters")
