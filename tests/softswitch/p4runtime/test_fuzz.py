"""Whatever a client sends, it gets an answer of the specification's codes, and what is refused changes nothing."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime import Device
from softswitch.p4runtime.device import as_uint128
from softswitch.p4runtime.errors import BatchError, Code, P4RuntimeError
from softswitch.p4runtime.stream import Stream
from softswitch.switch import Switch
from tests.softswitch.clock import Clock
from tests.softswitch.p4runtime.fuzz import Fuzzer
from tests.softswitch.p4runtime.p4 import load
from tests.softswitch.p4runtime.patience import patient
from tests.softswitch.p4runtime.rig import CPU_PORT, DEVICE_ID, Rig, errors, uint128
from tests.softswitch.p4runtime.test_atomicity import balance_updates, edge_updates, everything

PROGRAMS = {"edge": edge_updates, "balance": balance_updates}
UNFORESEEN = {Code.UNKNOWN, Code.INTERNAL}
COMMIT = p4rt.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
seeds = st.integers(0, (1 << 32) - 1)


@pytest.fixture(autouse=True)
def _nothing_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The server logs what it did not foresee, with the request."""
    caplog.set_level(logging.ERROR)
    yield
    assert caplog.text == ""


def ids_of(name: str) -> list[int]:
    """All ids of the P4Info."""
    info = load(name).p4info
    kinds = (info.tables, info.actions, info.action_profiles, info.counters, info.meters, info.registers)
    return [thing.preamble.id for kind in (*kinds, info.value_sets, info.digests) for thing in kind]


def device_with(name: str) -> Device:
    """A device with a primary and a pipeline."""
    device = Device(Switch(DEVICE_ID, cpu_port=CPU_PORT, clock=Clock()))
    device.set_pipeline(COMMIT, load(name).config)
    stream = Stream({DEVICE_ID: device})
    stream.handle(arbitration(1))
    return device


def arbitration(election_id: int) -> p4rt.StreamMessageRequest:
    update = p4rt.MasterArbitrationUpdate(device_id=DEVICE_ID, election_id=as_uint128(election_id))
    return p4rt.StreamMessageRequest(arbitration=update)


def snapshot(device: Device) -> list[bytes]:
    found, outcomes = device.read(p4rt.ReadRequest(entities=everything()))
    assert set(outcomes) == {None}
    return sorted(entity.SerializeToString(deterministic=True) for entity in found)


def codes_of(device: Device, request: p4rt.WriteRequest) -> list[Code]:
    try:
        device.write(request)
    except P4RuntimeError as error:
        return [error.code]
    except BatchError as error:
        return [outcome.code if outcome else Code.OK for outcome in error.outcomes]
    return [Code.OK] * len(request.updates)


def updates(name: str, fuzzer: Fuzzer) -> list[p4rt.Update]:
    """Good ones, spoiled ones and some of no sense at all."""
    known = PROGRAMS[name]()
    made = []
    for _ in range(fuzzer.random.randint(1, 6)):
        update = p4rt.Update()
        if fuzzer.random.random() < 0.2:
            fuzzer.fill(update)
        else:
            update.CopyFrom(fuzzer.random.choice(known))
            for _ in range(fuzzer.random.randint(0, 2)):
                fuzzer.spoil(update)
        made.append(update)
    return made


@pytest.mark.parametrize("name", PROGRAMS)
def test_writes(name: str) -> None:
    ids = ids_of(name)

    @settings(patient, max_examples=30)
    @given(seeds)
    def holds(seed: int) -> None:
        device, fuzzer = device_with(name), Fuzzer(seed, ids)
        for atomicity in (0, 0, 1, 2, 7):
            request = p4rt.WriteRequest(election_id=as_uint128(1), updates=updates(name, fuzzer))
            request.MergeFromString(bytes([0x28, atomicity]))
            before = snapshot(device)
            codes = codes_of(device, request)
            assert not UNFORESEEN & set(codes), request
            if Code.OK not in codes:
                assert snapshot(device) == before, request
            for port in (0, 1, CPU_PORT):
                device.switch.process(port, fuzzer.random.randbytes(fuzzer.random.randint(0, 64)))

    holds()


@pytest.mark.parametrize("name", PROGRAMS)
def test_reads(name: str) -> None:
    device = device_with(name)
    for update in PROGRAMS[name]():
        codes_of(device, p4rt.WriteRequest(election_id=as_uint128(1), updates=[update]))
    before = snapshot(device)
    known = [*everything(), *(update.entity for update in PROGRAMS[name]())]

    @settings(patient, max_examples=100)
    @given(seeds)
    def holds(seed: int) -> None:
        fuzzer = Fuzzer(seed, ids_of(name))
        entities = [p4rt.Entity(), p4rt.Entity()]
        fuzzer.fill(entities[0])
        entities[1].CopyFrom(fuzzer.random.choice(known))
        fuzzer.spoil(entities[1])
        _, outcomes = device.read(p4rt.ReadRequest(entities=entities))
        assert not UNFORESEEN & {outcome.code for outcome in outcomes if outcome is not None}, entities

    holds()
    assert snapshot(device) == before


def spoil_json(value: object, chance: random.Random) -> object:
    """One value somewhere in a document is another one."""
    odd: tuple[object, ...] = (None, -1, 0, 1 << 40, "", "x", [], {}, [[]], True, "0x")
    if isinstance(value, dict) and value and chance.random() < 0.95:
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: spoil_json(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.95:
        at = chance.randrange(len(value))
        if chance.random() < 0.1:
            return value[:at] + value[at + 1 :]
        return [*value[:at], spoil_json(value[at], chance), *value[at + 1 :]]
    return chance.choice(odd)


@pytest.mark.parametrize("name", PROGRAMS)
def test_pipelines(name: str) -> None:
    """A spoiled P4Info or program is refused with the old pipeline running, or runs and carries packets."""
    device, program = device_with(name), json.loads(load(name).json)

    @settings(patient, max_examples=80)
    @given(seeds)
    def holds(seed: int) -> None:
        fuzzer, config = Fuzzer(seed, ids_of(name)), p4rt.ForwardingPipelineConfig()
        config.CopyFrom(load(name).config)
        if fuzzer.random.random() < 0.5:
            fuzzer.spoil(config.p4info)
        else:
            config.p4_device_config = json.dumps(spoil_json(program, fuzzer.random)).encode()
        kinds = p4rt.SetForwardingPipelineConfigRequest
        action = fuzzer.random.choice([kinds.VERIFY, kinds.VERIFY_AND_SAVE, kinds.VERIFY_AND_COMMIT, kinds.COMMIT])
        running = device.switch.program
        code = Code.OK
        try:
            device.set_pipeline(action, None if action == kinds.COMMIT else config)
        except P4RuntimeError as error:
            code = error.code
            assert device.switch.program is running
        assert code not in UNFORESEEN
        device.switch.process(1, fuzzer.random.randbytes(40))
        snapshot(device)

    holds()


@settings(patient, max_examples=40)
@given(seeds)
def test_stream_messages(seed: int) -> None:
    device, fuzzer = device_with("edge"), Fuzzer(seed, [*ids_of("edge"), DEVICE_ID])
    stream = Stream({DEVICE_ID: device})
    codes = []
    if seed % 3:
        stream.handle(arbitration(5))
    for _ in range(4):
        request = p4rt.StreamMessageRequest()
        fuzzer.fill(request, 0.7)
        try:
            stream.handle(request)
        except P4RuntimeError as error:
            codes.append(error.code)
            break
    assert not UNFORESEEN & set(codes)
    stream.close()
    snapshot(device)


async def test_the_codes_are_those_that_arrive(rig: Rig) -> None:
    """Over gRPC, where an exception that nobody catches would be UNKNOWN without details."""
    controller = await rig.primary(load("edge"))
    for seed in range(40):
        fuzzer = Fuzzer(seed, ids_of("edge"))
        request = controller.request(*updates("edge", fuzzer))
        read = p4rt.ReadRequest(device_id=DEVICE_ID, entities=[p4rt.Entity()])
        fuzzer.fill(read.entities[0])
        codes = []
        try:
            await rig.stub.Write(request)
            _ = [response async for response in rig.stub.Read(read)]
        except grpc.aio.AioRpcError as error:
            codes += [Code(single.canonical_code) for single in errors(error)]  # fails where there are none
        assert not UNFORESEEN & set(codes)
    assert (await controller.become(2)).election_id == uint128(2)
