"""How fast entities are encoded, compared and written over P4Runtime, against what protobuf and gRPC allow.

Run `python bench/bench_p4rt.py [--quick] [--target softswitch|bmv2|ADDRESS]`. Rates depend on the machine; the ratios
are the result. The limits:

* encode, decode: protobuf alone serializes, or parses, the finished message;
* write: the same updates, encoded beforehand, in the same batches, to the same switch, and nothing else done.

The sink is a server that takes every write and does nothing; what is slower than there is the switch's own time.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
import timeit
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from p4.v1 import p4runtime_pb2, p4runtime_pb2_grpc

from controller.p4rt.actions import Action, ActionSet, WeightedAction
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.codec import Codec
from controller.p4rt.entities import ActionProfileGroup, GroupMember, MulticastGroup, Replica, State, TableEntry
from controller.p4rt.matches import Exact, Lpm, Match, Optional, Range, Ternary
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.plan import INSERT, Step
from controller.p4rt.reconcile import Writer
from controller.p4rt.target import Target
from softswitch.p4runtime import Device, serve
from softswitch.switch import Switch

PROGRAM = Path(__file__).resolve().parents[1] / "tests" / "p4rt" / "programs" / "catalogue"
BATCH = 500
DEVICE_ID = 1
REPEATS = 5


def route(number: int, mark: int = 1) -> TableEntry:
    """An IPv6 route, of which there may be 65536."""
    action = Action("CatalogueIngress.deliver", {"port": 1, "mark": mark})
    prefix = (0x20010DB8 << 96) | number << 64
    return TableEntry("CatalogueIngress.routes6", {"vrf": Exact(1), "dst": Lpm(prefix, 64)}, action)


def entities() -> dict[str, State]:
    """One of each kind worth measuring."""
    deliver = Action("CatalogueIngress.deliver", {"port": 1, "mark": 2})
    acl: dict[str, Match] = {"src": Ternary(0x10, 0xF0), "type": Range(0x800, 0x86DD), "vrf": Optional(1)}
    shares = ActionSet(WeightedAction(deliver, weight) for weight in range(1, 5))
    members = [GroupMember(number) for number in range(1, 5)]
    return {
        "exact and LPM": route(1),
        "ternary, range, optional": TableEntry("CatalogueIngress.acl", acl, Action("NoAction"), priority=1),
        "one-shot set of 4": TableEntry("CatalogueIngress.nexthops", {"nexthop": Exact(1)}, shares),
        "group of 4": ActionProfileGroup("CatalogueIngress.nexthop_selector", 1, members),
        "multicast group of 16": MulticastGroup(1, [Replica(port) for port in range(1, 17)]),
    }


def per_second(work: Callable[[], object], seconds: float) -> float:
    """Calls of `work` a second, the best of several rounds."""
    timer = timeit.Timer(work)
    calls, spent = timer.autorange()
    calls = max(1, int(calls * seconds / max(spent, 1e-9)))
    return calls / min(timer.repeat(REPEATS, calls))


def bench_codec(codec: Codec, seconds: float) -> None:
    """Encoding from entity to octets, and decoding back."""
    print(f"{'':28}{'encode/s':>12}{'of limit':>10}{'decode/s':>12}{'of limit':>10}")
    for name, entity in entities().items():
        wire = codec.encode(entity).wire
        message = p4runtime_pb2.Entity.FromString(wire)
        encode = per_second(lambda entity=entity: codec.encode(entity), seconds)  # type: ignore[misc]
        decode = per_second(lambda wire=wire: codec.decode_bytes(wire), seconds)  # type: ignore[misc]
        serialize = per_second(message.SerializeToString, seconds)
        parse = per_second(lambda wire=wire: p4runtime_pb2.Entity.FromString(wire), seconds)  # type: ignore[misc]
        print(f"{name:28}{encode:12,.0f}{encode / serialize:10.3f}{decode:12,.0f}{decode / parse:10.3f}")


async def bench_writes(address: str, pipeline: Pipeline, count: int, reads_back: bool) -> None:
    """Writing `count` routes: as octets alone, by the writer, changed, and recognized after a restart."""
    routes = [route(number) for number in range(count)]
    async with P4RuntimeClient(Target(address, DEVICE_ID), pipeline, timeout=120) as client:
        await client.stream.wait_primary()
        await client.set_pipeline()
        steps = [Step(client.codec.encode(entry), INSERT, removal=False) for entry in routes]
        limit = await _rate(_write_steps(client, steps), count)
        print(f"  {'limit: encoded before':28}{limit:12,.0f} entries/s")
        await client.set_pipeline()
        async with Writer(client, batch=BATCH) as writer:
            await writer.settled()
            for name, mark in (("writer, inserts", 1), ("writer, all modified", 2)):
                writer.set_desired(())
                await writer.settled()
                if mark == 2:
                    writer.set_desired(routes)
                    await writer.settled()
                wanted = [route(number, mark) for number in range(count)]
                rate = await _rate(_desire(writer, wanted), count)
                print(f"  {name:28}{rate:12,.0f} entries/s{rate / limit:10.2f} of limit")
        if reads_back:
            async with Writer(client, batch=BATCH) as writer:
                rate = await _rate(_desire(writer, wanted), count)
                assert writer.stats.updates == 0, writer.stats
                print(f"  {'restart, nothing differs':28}{rate:12,.0f} entries/s")


async def _write_steps(client: P4RuntimeClient, steps: list[Step]) -> None:
    for start in range(0, len(steps), BATCH):
        request = client.write_request()
        for step in steps[start : start + BATCH]:
            request.updates.add(type=step.kind).entity.ParseFromString(step.wire)
        await client.submit(request)


async def _desire(writer: Writer, wanted: list[TableEntry]) -> None:
    writer.set_desired(wanted)
    failures = await writer.settled()
    assert not failures, failures[0]


async def _rate(work: Any, count: int) -> float:  # noqa: ANN401  # a coroutine
    start = time.perf_counter()
    await work
    return count / (time.perf_counter() - start)


class _Sink(p4runtime_pb2_grpc.P4RuntimeServicer):
    """Agrees to everything."""

    async def Write(self, request: p4runtime_pb2.WriteRequest, context: object) -> p4runtime_pb2.WriteResponse:  # noqa: N802
        return p4runtime_pb2.WriteResponse()

    async def Read(  # noqa: N802
        self, request: p4runtime_pb2.ReadRequest, context: object
    ) -> AsyncIterator[p4runtime_pb2.ReadResponse]:
        yield p4runtime_pb2.ReadResponse()

    async def SetForwardingPipelineConfig(self, request: Any, context: object) -> Any:  # noqa: ANN401, N802
        self._config = request.config
        return p4runtime_pb2.SetForwardingPipelineConfigResponse()

    async def GetForwardingPipelineConfig(self, request: Any, context: object) -> Any:  # noqa: ANN401, N802
        return p4runtime_pb2.GetForwardingPipelineConfigResponse(config=self._config)

    async def StreamChannel(self, requests: AsyncIterator[Any], context: object) -> AsyncIterator[Any]:  # noqa: N802
        async for request in requests:
            yield p4runtime_pb2.StreamMessageResponse(arbitration=request.arbitration)


def _run_sink(address: str) -> None:
    async def run() -> None:
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
        p4runtime_pb2_grpc.add_P4RuntimeServicer_to_server(_Sink(), server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(address)
        await server.start()
        await server.wait_for_termination()

    asyncio.run(run())


def _run_softswitch(address: str) -> None:
    async def run() -> None:
        switch = Switch(DEVICE_ID, cpu_port=255)
        server = await serve([Device(switch)], address)
        try:
            await switch.run()
        finally:
            await server.stop()

    asyncio.run(run())


@contextmanager
def _process(serve_at: Callable[[str], None]) -> Iterator[str]:
    """A server in a process of its own, so that it and the client do not take turns."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{folder}/switch"
        process = multiprocessing.get_context("spawn").Process(target=serve_at, args=(address,), daemon=True)
        process.start()
        try:
            yield address
        finally:
            process.terminate()
            process.join()


@contextmanager
def _bmv2() -> Iterator[str]:
    address = f"127.0.0.1:{_free_port()}"
    command = ["simple_switch_grpc", "--no-p4", "--device-id", str(DEVICE_ID), "--log-level", "off"]
    if "--thrift-port" in subprocess.run([command[0], "--help"], capture_output=True, text=True, check=False).stdout:
        command += ["--thrift-port", str(_free_port())]
    command += ["--log-file", os.devnull]
    command += ["--", "--grpc-server-addr", address, "--cpu-port", "255"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield address
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    parser.add_argument("--target", action="append", help="sink, softswitch, bmv2 or the address of a running switch")
    options = parser.parse_args()
    pipeline = Pipeline.from_files(f"{PROGRAM}.p4info.txtpb", f"{PROGRAM}.json")
    bench_codec(Codec(pipeline.info), 0.02 if options.quick else 0.2)
    known: dict[str, Callable[[], AbstractContextManager[str]]] = {
        "sink": lambda: _process(_run_sink),
        "softswitch": lambda: _process(_run_softswitch),
        "bmv2": _bmv2,
    }
    for name in options.target or known:
        if name == "bmv2" and shutil.which("simple_switch_grpc") is None:
            print("bmv2: simple_switch_grpc is not on the PATH")
            continue
        print(f"{name}:")
        count = 2_000 if options.quick else 20_000
        if name in known:
            with known[name]() as address:
                asyncio.run(bench_writes(address, pipeline, count, reads_back=name != "sink"))
        else:
            asyncio.run(bench_writes(name, pipeline, count, reads_back=True))


if __name__ == "__main__":
    main()
