"""Map-Server and xTR as processes of their own: over real UDP, until a signal ends them."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path

from controller.app.event_log import EventLog
from controller.app.map_server_settings import MapServerSettings, StoreSettings, map_server_config
from controller.app.mapping_system import MappingSystem
from controller.app.pauses import avoid_long_pauses
from controller.app.process import MachineProcess
from controller.app.router import Router
from controller.app.settings import ConfigurationFile
from controller.app.steering import open_steered_sockets
from controller.app.switch_control import SwitchControl
from controller.app.udp import UdpOptions, UdpTransport
from controller.app.workers import Work, run_workers
from controller.app.xtr_settings import DOMAINS, SwitchSettings, XtrSettings, xtr_config
from controller.dataplane.router_tables import RouterTables
from controller.lisp import CONTROL_PORT, Endpoint, IPAddress
from controller.mapping import MemoryStore, Share, Store
from controller.mapping.etcd_cluster import Tls
from controller.mapping.etcd_store import EtcdStore
from controller.mapping.machine import Event
from controller.mapping.sqlite_store import SqliteStore
from controller.p4rt.pipeline import Pipeline
from controller.p4rt.target import Target
from controller.xtr import DatabaseChange, MapCacheChange, Xtr, XtrConfig
from controller.xtr.nonce_file import FileNonceStore
from controller.xtr.nonces import NonceStore

log = logging.getLogger(__name__)

COMPILED = Path(__file__).resolve().parents[2] / "p4src" / "compiled" / "v1model"

EVERYTHING = Share()

# Seconds that acknowledgements of the last deregistrations are waited for.
_FAREWELL = 3.0


class _Stopped:
    """Set by SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, number)

    def _stop(self, number: int) -> None:
        log.info("%s: stopping", signal.Signals(number).name)
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


def run_map_server_workers(file: ConfigurationFile[MapServerSettings], count: int, work: Work) -> None:
    """Have `count` processes serve one address until a signal comes, each its share of the instance-IDs.

    `work` calls `run_map_server` with its socket. Raises FileError, OSError when the address cannot be had or a worker
    ends by itself.
    """
    address = map_server_config(file).address
    buffer = UdpOptions().receive_buffer
    run_workers(open_steered_sockets(Endpoint(address, CONTROL_PORT), count, receive_buffer=buffer), work)


async def run_map_server(
    file: ConfigurationFile[MapServerSettings], share: Share = EVERYTHING, opened: socket.socket | None = None
) -> None:
    """Serve until a signal comes. Raises FileError, OSError when the address cannot be had, StoreError.

    `share`: the instance-IDs that this process serves. What it stores has a file, or a name in
    etcd, of its own for each such share.
    `opened`: its socket, in place of one that is opened here.
    """
    settings, config = file.settings, replace(map_server_config(file), share=share)
    if share.of > 1:
        settings = _worker_settings(settings, share)
    stopped = _Stopped()
    with ExitStack() as stack:
        store: Store = MemoryStore()
        if settings.store is not None:
            store = kept = _open_store(settings.store, settings.name, file.folder)
            stack.callback(kept.close)
        sockets = {config.address: opened} if opened is not None else None
        transport = stack.enter_context(UdpTransport(UdpOptions(path_mtu=settings.path_mtu), sockets))
        system = MappingSystem(settings.name, config, transport, store)
        system.on_event = EventLog(settings.name)
        stack.callback(system.stop)
        system.listen()
        system.perform(())  # what was under way before a restart goes on
        avoid_long_pauses()
        _say_listening(settings.name, config.address)
        await stopped.wait()


async def run_xtr(file: ConfigurationFile[XtrSettings], switch: str | None = None) -> None:
    """Control a switch, or no switch, until a signal comes.

    `switch`: address of its P4Runtime server, in place of the file's. Raises FileError, OSError when an RLOC cannot be
    had, P4RuntimeError when the switch cannot be programmed.
    """
    settings, config = file.settings, xtr_config(file)
    stopped = _Stopped()
    async with AsyncExitStack() as stack:
        transport = stack.enter_context(UdpTransport(UdpOptions(path_mtu=settings.path_mtu)))
        nonces: NonceStore | None = None
        if settings.nonces_file is not None:
            nonces = stack.enter_context(FileNonceStore(file.folder / settings.nonces_file))
        if settings.switch is None and switch is None:
            process: MachineProcess[Xtr] = _ControlPlane(settings.name, config, transport, nonces)
        else:
            known = settings.switch or SwitchSettings()
            control = _switch_control(file, known, config, switch or known.address)
            scale_up = frozenset(one.iid for one in known.instances if one.domain == "scale-up")
            process = Router(
                settings.name, config, transport, control, names=settings.names, scale_up_iids=scale_up, nonces=nonces
            )
            await stack.enter_async_context(control)
        process.on_event = EventLog(settings.name)
        stack.callback(process.stop)
        for rloc in config.rlocs:
            process.listen(rloc)
        _say_listening(settings.name, *config.rlocs)
        process.perform(process.machine.start(process.now()))
        for accelerator in settings.accelerators:
            for eid in accelerator.eids(settings.names):
                if isinstance(process, Router):
                    process.attach(eid, accelerator.next_hop())
                else:
                    process.perform(process.machine.attach(eid, process.now()))
        await stopped.wait()
        if settings.withdraw_on_exit:
            await _withdraw(process)


class _ControlPlane(MachineProcess[Xtr]):
    """An xTR without a switch: it says what it would have told one."""

    def __init__(self, name: str, config: XtrConfig, transport: UdpTransport, nonces: NonceStore | None) -> None:
        super().__init__(name, Xtr(config, self.now(), store=nonces), config.rlocs[0], transport)

    def handle(self, output: object) -> None:
        """Log a change of the tables."""
        match output:
            case MapCacheChange(eid=eid, entry=None):
                log.info("%s: map-cache: %s is gone", self.name, eid)
            case MapCacheChange(eid=eid, entry=entry) if entry is not None:
                rlocs = " ".join(f"{loc.rloc}({loc.priority}/{loc.weight})" for loc in entry.locators) or "-"
                crossing = "" if entry.provider is None else f" in {entry.provider}"
                log.info("%s: map-cache: %s %s %s%s", self.name, eid, entry.kind.value, rlocs, crossing)
            case DatabaseChange(eid=eid, entry=entry):
                log.info("%s: database: %s %s", self.name, eid, entry.state.value if entry else "is gone")
            case _:
                log.info("%s: %s", self.name, output)


def _open_store(settings: StoreSettings, name: str, folder: Path) -> SqliteStore | EtcdStore:
    """The store of the Map-Server of that name, which is kept open. Raises StoreError."""
    if settings.file is not None:
        return SqliteStore(folder / settings.file, power_safe=settings.power_safe)
    assert settings.etcd is not None
    tls = None
    if settings.ca_file is not None:
        own = (None if one is None else folder / one for one in (settings.certificate_file, settings.key_file))
        tls = Tls(folder / settings.ca_file, *own)
    return EtcdStore(settings.etcd, settings.name or name, tls=tls)


def _worker_settings(settings: MapServerSettings, share: Share) -> MapServerSettings:
    """A worker's own name and store; another number of workers shares out differently, and uses other stores."""
    store = settings.store
    suffix = f".{share.number}-of-{share.of}"
    if store is not None and store.file is not None:
        store = store.model_copy(update={"file": store.file.with_name(f"{store.file.name}{suffix}")})
    elif store is not None:
        store = store.model_copy(update={"name": f"{store.name or settings.name}{suffix}"})
    return settings.model_copy(update={"name": f"{settings.name}.{share.number}", "store": store})


def _say_listening(name: str, *addresses: IPAddress) -> None:
    log.info("%s: listening at %s", name, ", ".join(str(Endpoint(address, CONTROL_PORT)) for address in addresses))


def _switch_control(
    file: ConfigurationFile[XtrSettings], settings: SwitchSettings, config: XtrConfig, address: str
) -> SwitchControl:
    """The control of the switch, with all that does not depend on mappings in its tables."""
    p4info, program = COMPILED / "fabric.p4info.txtpb", COMPILED / "fabric.json"
    if settings.pipeline is not None:
        p4info, program = file.folder / settings.pipeline.p4info, file.folder / settings.pipeline.device_config
    by_version = {rloc.version: rloc for rloc in reversed(config.rlocs)}
    tables = RouterTables(*by_version.values())
    tables.configure(settings.hash_rotation, site=config.site_id & 0xFFFFFFFF)
    for port in settings.core_ports:
        tables.add_core_port(port)
    for instance in settings.instances:
        tables.add_instance(instance.iid, instance.tunnel, instance.unknown == "punt", domain=DOMAINS[instance.domain])
    for route in settings.routes:
        tables.set_route(route.rloc, [hop.next_hop() for hop in route.next_hops])
    # An election id that grows with every start lets a new control plane take over from one that hangs.
    target = Target(address, settings.device_id, election_id=time.time_ns(), takes_over=True)
    return SwitchControl(file.settings.name, target, Pipeline.from_files(p4info, program), tables)


async def _withdraw(process: MachineProcess[Xtr]) -> None:
    """Deregister everything, and wait for the acknowledgements, but not long."""
    machine = process.machine
    process.perform(machine.withdraw([entry.eid for entry in machine.database()], process.now()))
    try:
        async with asyncio.timeout(_FAREWELL):
            while machine.database():  # noqa: ASYNC110 - the machine has nobody to wake
                await asyncio.sleep(0.02)
    except TimeoutError:
        left = [str(entry.eid) for entry in machine.database()]
        process.on_event(Event("withdrawal-unacknowledged", {"eids": " ".join(left)}))
