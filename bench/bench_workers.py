"""What a second Map-Server worker brings: `lispfabric map-server --workers 2` against one process.

Run `python bench/bench_workers.py [--quick]`. Map-Registers that refresh one record go over UDP to one address, half of
them about one instance-ID and half about another, so that the kernel gives each of two workers half of them. The
processor time of each server process is read from its clock: what limits a server of several processes is the busiest
of them, so the rate is the number of messages by that one's time. Elapsed time is shown too, but on a machine of two
cores the sender of the messages competes with the second worker for its core.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import yaml

from controller.lisp import CONTROL_PORT, Algorithm, Eid, EidRecord, Key, MapRegister, RlocRecord, XtrIdentity, sign

SERVER: Final = IPv4Address("127.2.0.2")
CLIENT: Final = IPv4Address("127.2.3.0")
SITE: Final = 40
IIDS: Final = (0x1000, 0x1001)
SECRET: Final = "a pre-shared key of usual length"
KEY: Final = Key(1, Algorithm.HMAC_SHA256_128, SECRET.encode())
CLIENTS: Final = 32
BURST: Final = 128  # fits the buffers that a system gives by default
PATIENCE: Final = 10.0


class Rates(NamedTuple):
    """Messages a second: by the processor time of the busiest worker, and by the clock on the wall."""

    processor: float
    clock: float


class Client:
    """An xTR that refreshes an EID in each instance-ID. Each has an account of nonces at one worker only."""

    def __init__(self, number: int) -> None:
        self.address = CLIENT + number
        self.identity = XtrIdentity(number.to_bytes(16, "big"), SITE)
        self.eid = Eid.of(IIDS[number % len(IIDS)], IPv4Address("40.0.0.0") + number)
        self.nonce = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((str(self.address), CONTROL_PORT))
        self.socket.setblocking(False)

    def register(self) -> bytes:
        """The next Map-Register."""
        self.nonce += 1
        record = EidRecord.for_eid(self.eid, 1440, (RlocRecord(self.address, local=True),))
        message = MapRegister(self.nonce, (record,), merge=True, want_notify=True, proxy_reply=True, xtr=self.identity)
        return sign(message, KEY)


def settings(folder: Path, clients: Sequence[Client]) -> Path:
    """The configuration file of the server."""
    (folder / "key").write_text(SECRET)
    (folder / "key").chmod(0o600)
    site = {
        "name": "bench",
        "site_id": SITE,
        "keys": [{"id": 1, "algorithm": "hmac-sha256-128", "secret_file": str(folder / "key")}],
        "prefixes": [{"iid": iid, "prefix": "40.0.0.0/16", "host_routes": True} for iid in IIDS],
        "xtrs": [{"xtr_id": one.identity.xtr_id.hex(), "rlocs": [str(one.address)]} for one in clients],
    }
    file = folder / "map-server.yaml"
    file.write_text(
        yaml.safe_dump({"name": "ms", "address": str(SERVER), "sites": [site], "store": {"file": "state.db"}})
    )
    return file


def processes(server: subprocess.Popen[bytes], workers: int) -> list[int]:
    """The process ids of the workers."""
    if workers == 1:
        return [server.pid]
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.pid)], capture_output=True, text=True, check=True)
    return [int(line) for line in listed.stdout.split()]


def processor_time(pid: int) -> float:
    """Seconds of processor that a process has used (its clock is that of clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def burst(clients: Sequence[Client]) -> float:
    """Send BURST messages and take as many answers; returns the seconds. Raises TimeoutError if they do not come."""
    senders = [clients[number % len(clients)] for number in range(BURST)]
    messages = [(client.socket, client.register()) for client in senders]
    begin = time.perf_counter()
    for sock, octets in messages:
        sock.sendto(octets, (str(SERVER), CONTROL_PORT))
    left, deadline = BURST, time.monotonic() + PATIENCE
    while left:
        ready, _, _ = select.select([client.socket for client in clients], [], [], 0.5)
        for sock in ready:
            sock.recv(65535)
            left -= 1
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} of {BURST} Map-Registers have no answer")
    return time.perf_counter() - begin


def measure(workers: int, rounds: int) -> Rates:
    """The rates of a server with so many workers."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        clients = [Client(number) for number in range(CLIENTS)]
        options = ["--workers", str(workers)] if workers > 1 else []
        command = [sys.executable, "-m", "topologies.cli", "map-server", "--config", str(settings(folder, clients))]
        server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            assert server.stderr is not None
            for _ in range(workers):  # each says where it listens
                while b"listening" not in (line := server.stderr.readline()):
                    assert line, "the server has ended"
            for _ in range(10):
                burst(clients)
            pids = processes(server, workers)
            before = [processor_time(pid) for pid in pids]
            clock = sum(burst(clients) for _ in range(rounds))
            spent = [processor_time(pid) - at for pid, at in zip(pids, before, strict=True)]
        finally:
            server.terminate()
            server.wait(PATIENCE)
            for client in clients:
                client.socket.close()
    return Rates(rounds * BURST / max(spent), rounds * BURST / clock)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Two Map-Server workers against one.")
    parser.add_argument("--quick", action="store_true", help="measure a tenth as long")
    rounds = 50 if parser.parse_args().quick else 500
    one, two = measure(1, rounds), measure(2, rounds)
    print(f"{'refreshes a second, 1 record':34} {'1 worker':>11} {'2 workers':>11} {'ratio':>7}")
    print(f"{'by processor time of the busiest':34} {one[0]:11,.0f} {two[0]:11,.0f} {two[0] / one[0]:7.2f}")
    label = f"by the clock, {os.cpu_count()} cores"
    print(f"{label:34} {one[1]:11,.0f} {two[1]:11,.0f} {two[1] / one[1]:7.2f}")


if __name__ == "__main__":
    main()
