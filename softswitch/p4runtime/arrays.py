"""Indexed counters, meters and registers. A request without index is about every cell of the array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import invalid_argument, out_of_range
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.resources import (
    check_counter_data,
    counter_data,
    decode_meter_config,
    encode_meter_config,
    refuse_meter_counters,
)
from softswitch.p4runtime.schema import Counter, Meter, Register, look_up
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import MeterArray, MeterConfig

Update = p4rt.Update
Indexed = p4rt.CounterEntry | p4rt.MeterEntry | p4rt.RegisterEntry
ArrayT = TypeVar("ArrayT", Counter, Meter, Register)


def write_counter(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.CounterEntry) -> None:
    """Sets one cell of a counter, or all; without data nothing changes.

    Raises:
        P4RuntimeError: the update is refused.
    """
    counter = look_up(pipeline.schema.counters, message.counter_id, "counter")
    where = f"counter {counter.name}"
    cells = _cells(kind, counter.size, message, where)
    if not message.HasField("data"):
        return
    check_counter_data(message.data, where)
    state = pipeline.state.counter(counter.name)
    for index in cells:
        old = state.read(index)
        state.write(index, message.data.packet_count, message.data.byte_count)
        undo.push(lambda index=index, old=old: state.write(index, old.packets, old.bytes))  # type: ignore[misc]


def read_counters(pipeline: Pipeline, wanted: p4rt.CounterEntry) -> Iterator[p4rt.Entity]:
    """The cells that a request asks for; counter id 0 asks for all counters.

    Raises:
        P4RuntimeError: the request is refused.
    """
    for counter in _wanted(pipeline.schema.counters, wanted.counter_id, "counter"):
        state = pipeline.state.counter(counter.name)
        for index in _indices(counter.size, wanted, f"counter {counter.name}"):
            value = state.read(index)
            message = p4rt.CounterEntry(
                counter_id=counter.id,
                index=p4rt.Index(index=index),
                data=counter_data(counter, value.packets, value.bytes),
            )
            yield p4rt.Entity(counter_entry=message)


def write_meter(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.MeterEntry) -> None:
    """Configures one cell of a meter, or all; without config every packet is green again.

    Raises:
        P4RuntimeError: the update is refused.
    """
    meter = look_up(pipeline.schema.meters, message.meter_id, "meter")
    where = f"meter {meter.name}"
    cells = _cells(kind, meter.size, message, where)
    if message.HasField("counter_data"):
        raise refuse_meter_counters(where)
    config = decode_meter_config(meter, message.config, where) if message.HasField("config") else None
    state = pipeline.state.meter(meter.name)
    for index in cells:
        old = state.read(index)
        _configure(state, index, config)
        undo.push(lambda index=index, old=old: _configure(state, index, old))  # type: ignore[misc]


def read_meters(pipeline: Pipeline, wanted: p4rt.MeterEntry) -> Iterator[p4rt.Entity]:
    """The cells that a request asks for; meter id 0 asks for all meters.

    Raises:
        P4RuntimeError: the request is refused.
    """
    if wanted.HasField("counter_data"):
        raise refuse_meter_counters("meter")
    for meter in _wanted(pipeline.schema.meters, wanted.meter_id, "meter"):
        state = pipeline.state.meter(meter.name)
        for index in _indices(meter.size, wanted, f"meter {meter.name}"):
            message = p4rt.MeterEntry(meter_id=meter.id, index=p4rt.Index(index=index))
            config = state.read(index)
            if config is not None:
                message.config.CopyFrom(encode_meter_config(config))
            yield p4rt.Entity(meter_entry=message)


def write_register(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, message: p4rt.RegisterEntry) -> None:
    """Sets one cell of a register, or all.

    Raises:
        P4RuntimeError: the update is refused.
    """
    register = look_up(pipeline.schema.registers, message.register_id, "register")
    where = f"register {register.name}"
    cells = _cells(kind, register.size, message, where)
    (value,) = register.type.decode(message.data, f"{where}: data")
    state = pipeline.state.register(register.name)
    for index in cells:
        old = state.read(index)
        state.write(index, value)
        undo.push(lambda index=index, old=old: state.write(index, old))  # type: ignore[misc]


def read_registers(pipeline: Pipeline, wanted: p4rt.RegisterEntry) -> Iterator[p4rt.Entity]:
    """The cells that a request asks for; register id 0 asks for all registers.

    Raises:
        P4RuntimeError: the request is refused.
    """
    for register in _wanted(pipeline.schema.registers, wanted.register_id, "register"):
        state = pipeline.state.register(register.name)
        for index in _indices(register.size, wanted, f"register {register.name}"):
            message = p4rt.RegisterEntry(
                register_id=register.id,
                index=p4rt.Index(index=index),
                data=register.type.encode(iter((state.read(index),))),
            )
            yield p4rt.Entity(register_entry=message)


def _cells(kind: Update.Type, size: int, message: Indexed, where: str) -> Sequence[int]:
    if kind != Update.MODIFY:
        raise invalid_argument(f"{where}: a cell can only be modified")
    return _indices(size, message, where)


def _indices(size: int, message: Indexed, where: str) -> Sequence[int]:
    if not message.HasField("index"):
        return range(size)
    index = message.index.index
    if index < 0:
        raise invalid_argument(f"{where}: the index {index} is negative")
    if index >= size:
        raise out_of_range(f"{where}: the index {index} is not in 0..{size - 1}")
    return (index,)


def _wanted(arrays: Mapping[int, ArrayT], array_id: int, noun: str) -> list[ArrayT]:
    return [look_up(arrays, array_id, noun)] if array_id else list(arrays.values())


def _configure(state: MeterArray, index: int, config: MeterConfig | None) -> None:
    if config is None:
        state.reset(index)
    else:
        state.set_config(index, config.cir, config.cburst, config.pir, config.pburst)
