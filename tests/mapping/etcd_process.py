"""An etcd that a test runs: a cluster of one, in a folder of its own, on ports that were free."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ETCD = shutil.which("etcd") or shutil.which("etcd", path=str(Path(sys.executable).parent))
MISSING = (
    "NOT RUN: etcd is not installed (apt-get install etcd-server)"
    if ETCD is None
    else "NOT RUN: etcd3gw is not installed (pip install '.[etcd]')"
)
INSTALLED = ETCD is not None and find_spec("etcd3gw") is not None
needs_etcd = pytest.mark.skipif(not INSTALLED, reason=MISSING)


@dataclass(slots=True)
class Etcd:
    """A running etcd. `endpoint` is where clients reach it; `start` after `kill` has what it had."""

    folder: Path
    endpoint: str
    peer: str
    tls: Path | None = None
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert ETCD is not None
        client, peer = f"http{'s' if self.tls else ''}://{self.endpoint}", f"http://{self.peer}"
        options = {
            "data-dir": self.folder / "data",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "heartbeat-interval": 10,
            "election-timeout": 100,
            "log-level": "error",
        }
        if self.tls is not None:
            files = {"cert-file": "cert.pem", "key-file": "key.pem", "trusted-ca-file": "cert.pem"}
            options |= {option: self.tls / file for option, file in files.items()} | {"client-cert-auth": "true"}
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [ETCD, *(f"--{name}={value}" for name, value in options.items())], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        host, _, port = self.endpoint.rpartition(":")
        while time.monotonic() < deadline and self.child.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"etcd did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()

    def freeze(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGCONT)


def make_certificate(folder: Path) -> None:
    """`cert.pem`, which signs itself, and `key.pem`: of etcd, and of its clients."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=etcd"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@contextmanager
def running_etcd(folder: Path, tls: Path | None = None) -> Iterator[Etcd]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    endpoint, peer = (f"127.0.0.1:{port}" for port in ports)
    etcd = Etcd(folder, endpoint, peer, tls)
    try:
        etcd.start()
        yield etcd
    finally:
        etcd.kill()
