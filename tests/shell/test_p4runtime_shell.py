"""Operators' p4runtime-shell works on a running switch, and the control plane heals what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.fabric.observe import Observer, figure1
from topologies.inprocess import Fabric
from topologies.walk import TraceRecorder

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-shell" / "bin" / "python"


@pytest.mark.skipif(not PYTHON.exists(), reason="p4runtime-shell IS NOT INSTALLED: make .venv-shell/.ready")
async def test_the_shell_reads_a_table_and_inserts_an_entry() -> None:
    async with Fabric(figure1(), p4runtime="127.0.0.1:0") as fabric:
        observer = Observer(fabric, TraceRecorder())
        control = fabric.controls["D3"]
        entries = len(await observer.entries("D3", "scale_out_ipv4"))
        child = await asyncio.create_subprocess_exec(
            *(str(PYTHON), str(Path(__file__).with_name("session.py")), control.client.target.address, "18"),
            env=os.environ | {"PYTHONPATH": str(ROOT / "stubs")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await child.communicate())[0].decode()
        assert child.returncode == 0, output
        assert re.search(rf"entries before {entries} after {entries + 1}$", output.strip()), output
        # The router's control plane takes over again and finds an entry that it does not know.
        async with asyncio.timeout(15):
            await control.client.stream.wait_primary()
            await control.settled()
        assert len(await observer.entries("D3", "scale_out_ipv4")) == entries
