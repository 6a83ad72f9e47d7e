"""The switches the client is tested against besides the fake: softswitch, and bmv2 where it is installed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from softswitch.p4runtime import Device, serve
from softswitch.switch import Switch

DEVICE_ID = 3
CPU_PORT = 255  # of catalogue.p4


@dataclass(frozen=True)
class Kind:
    """A kind of switch, and what it cannot do.

    Attributes:
        start: starts one at an address, without a pipeline.
    """

    name: str
    start: Callable[[str], AbstractAsyncContextManager[None]]
    value_sets: bool
    truncates_clones: bool
    reads_registers: bool
    tells_watch_ports: bool
    reports_stream_errors: bool
    clears_meters: bool

    def __str__(self) -> str:
        return self.name


@asynccontextmanager
async def _softswitch(address: str) -> AsyncIterator[None]:
    switch = Switch(DEVICE_ID, cpu_port=CPU_PORT)
    server = await serve([Device(switch)], address)
    clock = asyncio.create_task(switch.run())
    try:
        yield
    finally:
        clock.cancel()
        await server.stop()
        switch.close()


@asynccontextmanager
async def _bmv2(address: str) -> AsyncIterator[None]:
    options = ["--no-p4", "--device-id", str(DEVICE_ID), "--log-level", "off", "--log-file", "/dev/null"]
    target_options = ["--grpc-server-addr", address, "--cpu-port", str(CPU_PORT)]
    quiet = asyncio.subprocess.DEVNULL
    with tempfile.TemporaryDirectory() as folder:
        if await _with_thrift():
            # Of these a machine has one for all bmv2 processes, unless they are told otherwise.
            options += ["--thrift-port", str(_free_port()), "--notifications-addr", f"ipc://{folder}/notifications"]
        process = await asyncio.create_subprocess_exec(
            "simple_switch_grpc", *options, "--", *target_options, stdout=quiet, stderr=quiet
        )
        try:
            await _accepting(address, process)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _with_thrift() -> bool:
    """Whether bmv2 was built with Thrift, and so has the options that go with it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("simple_switch_grpc", "--help", stdout=pipe, stderr=pipe)
    texts = await process.communicate()
    return any(b"--thrift-port" in text for text in texts)


async def _accepting(address: str, process: asyncio.subprocess.Process) -> None:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(10):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return
    raise RuntimeError(f"simple_switch_grpc ended at once with code {process.returncode}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SOFTSWITCH = Kind(
    "softswitch",
    _softswitch,
    value_sets=True,
    truncates_clones=True,
    reads_registers=True,
    tells_watch_ports=True,
    reports_stream_errors=True,
    clears_meters=True,
)
BMV2 = Kind(
    "bmv2",
    _bmv2,
    value_sets=False,
    truncates_clones=False,
    reads_registers=False,
    tells_watch_ports=False,
    reports_stream_errors=False,
    clears_meters=False,
)


def require(kind: Kind) -> None:
    """Skip the test, and say so where everyone sees it, if this kind of switch is not installed."""
    if kind is BMV2 and shutil.which("simple_switch_grpc") is None:
        message = "simple_switch_grpc is not on the PATH: nothing was tested against bmv2"
        warnings.warn(pytest.PytestWarning(message), stacklevel=2)
        pytest.skip(message)


@contextmanager
def free_address(kind: Kind) -> Iterator[str]:
    """An address at which such a switch can listen."""
    if kind is SOFTSWITCH:
        with tempfile.TemporaryDirectory() as folder:
            yield f"unix:{folder}/switch"
        return
    yield f"127.0.0.1:{_free_port()}"


def frame(destination: str, identification: int = 0, source: str = "192.0.2.1", tos: int = 0) -> bytes:
    """An Ethernet frame with an IPv4 header and nothing in it."""
    ethernet = bytes.fromhex("020000000002020000000001") + b"\x08\x00"
    addresses = IPv4Address(source).packed + IPv4Address(destination).packed
    return ethernet + struct.pack("!BBHHHBBH", 0x45, tos, 20, identification, 0, 64, 59, 0) + addresses
