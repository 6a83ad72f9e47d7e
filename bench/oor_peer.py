"""OpenOverlayRouter's Map-Server, measured as ours is: processor time from a burst of Map-Registers to their answers.

Run by `bench_map_server.py` in a network namespace of its own, where it prints the best and the median rate. Needs
`oor` on the PATH, and root. OpenOverlayRouter knows HMAC-SHA-1 only; it checks no nonce and stores nothing.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.lisp import CONTROL_PORT, Algorithm, Eid, EidRecord, Key, MapRegister, RlocRecord, sign

BURST = 128
HOSTS = 512
IID = 0x1001
ADDRESS = IPv4Address("10.9.0.2")
KEY = Key(0, Algorithm.HMAC_SHA1_96, b"lab-psk-oor-0001")
CONFIGURATION = f"""
debug = 0
operating-mode = MS
control-iface = eth0
lisp-site {{
    eid-prefix = 40.0.0.0/8
    key-type = 1
    key = {KEY.secret.decode()}
    iid = {IID}
    accept-more-specifics = true
}}
"""


def register(number: int) -> bytes:
    """A Map-Register of one host."""
    eid = Eid.of(IID, IPv4Address("40.0.0.0") + number)
    record = EidRecord.for_eid(eid, 1440, (RlocRecord(ADDRESS, local=True),), authoritative=True)
    message = MapRegister(number + 1, (record,), proxy_reply=True, want_notify=True)
    return sign(message, KEY, mac_scope="whole", full_length=True)


def processor_time(process: int) -> float:
    """Seconds that a process has run."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


def await_answer() -> None:
    """Wait until it is up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((str(ADDRESS), 0))
        client.settimeout(0.5)
        for _ in range(20):
            client.sendto(register(0), (str(ADDRESS), CONTROL_PORT))
            with contextlib.suppress(OSError):
                client.recv(65535)
                return
    raise TimeoutError("OpenOverlayRouter does not answer")


def measure(process: int, rounds: int) -> list[float]:
    """Map-Registers a second of processor time, for each burst."""
    messages = [register(number) for number in range(HOSTS)]
    rates: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((str(ADDRESS), 0))
        client.settimeout(2)
        for number in range(rounds):
            before = processor_time(process)
            first = number * BURST % HOSTS
            for octets in messages[first : first + BURST]:
                client.sendto(octets, (str(ADDRESS), CONTROL_PORT))
            for _ in range(BURST):
                client.recv(65535)
            time.sleep(0.002)  # it goes back to sleep, and its time is accounted for
            rates.append(BURST / (processor_time(process) - before))
    return rates


def main() -> None:
    """Measure and print."""
    for command in (
        "link set lo up",
        "link add eth0 type veth peer name eth1",
        f"address add {ADDRESS}/24 dev eth0",
        "link set eth0 up",
        "link set eth1 up",
        "route add default dev eth0",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "oor.conf"
        file.write_text(CONFIGURATION)
        process = subprocess.Popen(["oor", "-f", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            await_answer()
            rates = measure(process.pid, int(sys.argv[1]))
        finally:
            process.terminate()
            process.wait()
    print(max(rates), statistics.median(rates))


if __name__ == "__main__":
    main()
