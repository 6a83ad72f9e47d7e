"""An xTR of ours without a switch, as a process for a namespace: it attaches EIDs, asks for others, tells its tables.

Argument: a JSON object {rloc, server, key, profile, attach: [...], ask: [...], detach: [...], seconds}. Writes one:
map_cache {eid: [kind, action, rlocs]}, database {eid: state} before and `after` what was detached, events [...].
"""

from __future__ import annotations

import asyncio
import json
import sys
from ipaddress import ip_address
from typing import Any

from controller.app.process import MachineProcess
from controller.app.udp import UdpTransport
from controller.lisp import PROFILES, Algorithm, Eid, Key
from controller.xtr import MappingSystemLink, Xtr, XtrConfig

IID = 4097


class _Process(MachineProcess[Xtr]):
    def handle(self, output: object) -> None:
        """There is no switch."""


async def main(told: dict[str, Any]) -> dict[str, Any]:
    rloc, server = ip_address(told["rloc"]), ip_address(told["server"])
    key = Key(0, Algorithm.HMAC_SHA1_96, told["key"].encode())
    everything = (Eid.of(IID, "0.0.0.0/0"),)
    link = MappingSystemLink("foreign", server, (key,), everything, profile=PROFILES[told["profile"]])
    with UdpTransport() as transport:
        config = XtrConfig(bytes(16), 1, (rloc,), (link,))
        process = _Process("xtr", Xtr(config, _Process.now()), rloc, transport)
        process.listen()
        machine = process.machine
        for text in told.get("attach", ()):
            process.perform(machine.attach(Eid.of(IID, text), process.now()))
        await _rest(process, told["seconds"])
        for text in told.get("ask", ()):
            process.perform(machine.miss(Eid.of(IID, text), process.now()))
        await _rest(process, told["seconds"])
        cache = {
            str(entry.eid.target): [entry.kind.value, int(entry.action), [str(loc.rloc) for loc in entry.locators]]
            for entry in machine.map_cache()
        }
        database = {str(entry.eid.target): entry.state.value for entry in machine.database()}
        for text in told.get("detach", ()):
            process.perform(machine.detach(Eid.of(IID, text), process.now()))
        await _rest(process, told["seconds"])
        left = {str(entry.eid.target): entry.state.value for entry in machine.database()}
        process.stop()
        events = [str(noted.event) for noted in process.events]
    return {"map_cache": cache, "database": database, "after": left, "events": events}


async def _rest(process: _Process, seconds: float) -> None:
    """Until nothing is waited for, at most so long."""
    for _ in range(int(seconds / 0.02)):
        await asyncio.sleep(0.02)
        if not process.machine.pending():
            return


if __name__ == "__main__":
    json.dump(asyncio.run(main(json.loads(sys.argv[1]))), sys.stdout)
