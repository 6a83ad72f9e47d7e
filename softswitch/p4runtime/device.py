"""One switch as a P4Runtime device: pipelines, arbitration, reads and writes, and what the switch reports."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from google.rpc import status_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime import packets
from softswitch.p4runtime.arbitration import Arbitration, Notice
from softswitch.p4runtime.digests import acknowledge, encode_list
from softswitch.p4runtime.errors import (
    P4RuntimeError,
    failed_precondition,
    invalid_argument,
    not_found,
    permission_denied,
)
from softswitch.p4runtime.notes import NO_NOTE, entry_key
from softswitch.p4runtime.pipeline import Pipeline, VerifiedConfig, verify
from softswitch.p4runtime.reader import read_batch
from softswitch.p4runtime.replication import ports_changed
from softswitch.p4runtime.roles import RoleConfig, visible
from softswitch.p4runtime.table_reads import encode_entry
from softswitch.p4runtime.transfer import transfer
from softswitch.p4runtime.writer import write_batch
from softswitch.program import ProgramError
from softswitch.state import DigestList, Entry, SwitchState
from softswitch.switch import Switch

log = logging.getLogger(__name__)

SetRequest = p4rt.SetForwardingPipelineConfigRequest
GetRequest = p4rt.GetForwardingPipelineConfigRequest


class Client(Protocol):
    """The other end of a stream channel."""

    role: p4rt.Role | None
    """As the client announced it, None for the default role."""

    def send(self, message: p4rt.StreamMessageResponse) -> None:
        """Queues a message; never blocks."""

    def __hash__(self) -> int: ...


class Device:
    """A P4Runtime device. Not thread-safe: everything happens in the switch's event loop.

    Attributes:
        switch: the switch; its callbacks are taken over.
        arbitration: its clients.
    """

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.arbitration: Arbitration[Client] = Arbitration()
        self._running: Pipeline | None = None
        self._saved: Pipeline | None = None
        self._notified: dict[Entry, int] = {}
        switch.on_packet_in = self._packet_in
        switch.on_digest = self._digest
        switch.on_idle_timeout = self._idle_timeout
        switch.on_ports_changed = self._ports_changed

    @property
    def pipeline(self) -> Pipeline:
        """What reads and writes refer to: the saved pipeline if one waits for COMMIT, else the running one.

        Raises:
            P4RuntimeError: FAILED_PRECONDITION if there is none.
        """
        current = self._saved or self._running
        if current is None:
            raise failed_precondition("no forwarding pipeline config has been set for this device")
        return current

    def set_pipeline(self, action: SetRequest.Action, config: p4rt.ForwardingPipelineConfig | None) -> None:
        """Carries out one action of SetForwardingPipelineConfig.

        Raises:
            P4RuntimeError: the action is refused; nothing was changed.
        """
        if action == SetRequest.COMMIT:
            if config is not None:
                raise invalid_argument("COMMIT: config must not be set")
            if self._saved is None:
                raise not_found("COMMIT: no config has been saved")
            self._commit(self._saved.verified, self._saved)
            return
        if action not in SetRequest.Action.values() or action == SetRequest.UNSPECIFIED:
            raise invalid_argument(f"the action {action} is not known")
        if config is None:
            raise invalid_argument(f"{SetRequest.Action.Name(action)}: config is not set")
        verified = verify(config)
        match action:
            case SetRequest.VERIFY_AND_SAVE:
                self._saved = self._apart(verified)
            case SetRequest.VERIFY_AND_COMMIT:
                self._commit(verified, None)
            case SetRequest.RECONCILE_AND_COMMIT:
                reconciled = None
                if self._running is not None:
                    reconciled = self._apart(verified)
                    transfer(self._running, reconciled)
                self._commit(verified, reconciled)

    def get_pipeline(self, response_type: GetRequest.ResponseType) -> p4rt.GetForwardingPipelineConfigResponse:
        """The current configuration, as far as the response type asks for it.

        Raises:
            P4RuntimeError: INVALID_ARGUMENT for an unknown response type.
        """
        if response_type not in GetRequest.ResponseType.values():
            raise invalid_argument(f"the response type {response_type} is not known")
        current = self._saved or self._running
        response = p4rt.GetForwardingPipelineConfigResponse()
        if current is None:
            return response
        response.config.CopyFrom(current.verified.config)
        if response_type in (GetRequest.COOKIE_ONLY, GetRequest.DEVICE_CONFIG_AND_COOKIE):
            response.config.ClearField("p4info")
        if response_type in (GetRequest.COOKIE_ONLY, GetRequest.P4INFO_AND_COOKIE):
            response.config.ClearField("p4_device_config")
        return response

    def write(self, request: p4rt.WriteRequest) -> None:
        """Applies a batch.

        Raises:
            P4RuntimeError: the whole request is refused.
            BatchError: some updates are.
        """
        self.check_primary(request)
        role = self.arbitration.config(request.role)
        write_batch(self.pipeline, request.updates, request.atomicity, role)

    def read(self, request: p4rt.ReadRequest) -> tuple[list[p4rt.Entity], list[P4RuntimeError | None]]:
        """The entities asked for, as far as they belong to the role, and one outcome for each of the entities asked.

        Raises:
            P4RuntimeError: FAILED_PRECONDITION before a pipeline is set, NOT_FOUND for an unknown role.
        """
        role = self.arbitration.config(request.role)
        found, outcomes = read_batch(self.pipeline, request.entities)
        return visible(role, found), outcomes

    def check_primary(self, request: p4rt.WriteRequest | SetRequest) -> None:
        """Lets a request of the primary pass.

        Raises:
            P4RuntimeError: NOT_FOUND for an unknown role, PERMISSION_DENIED if it is not the primary's, or if the role
                may not push a pipeline.
        """
        election_id = as_int(request.election_id) if request.HasField("election_id") else None
        self.arbitration.check_primary(request.role, election_id)
        role = self.arbitration.config(request.role)
        if isinstance(request, SetRequest) and role is not None and not role.can_push_pipeline:
            raise permission_denied(f"role {request.role!r} may not push a pipeline")

    def packet_out(self, client: Client, packet: p4rt.PacketOut) -> None:
        """Sends a controller's packet into the switch.

        Raises:
            P4RuntimeError: the packet is dropped.
        """
        self._check_stream(client)
        if self._running is None:
            raise failed_precondition("packet-out: no forwarding pipeline config has been set for this device")
        octets = packets.serialise(self._running.schema.packet_out, packet)
        if self.switch.cpu_port is None:
            raise failed_precondition("packet-out: the switch was started without a CPU port")
        self.switch.packet_out(octets)

    def digest_ack(self, client: Client, ack: p4rt.DigestListAck) -> None:
        """A controller has seen a digest list.

        Raises:
            P4RuntimeError: the acknowledgement is ignored.
        """
        self._check_stream(client)
        config = self.arbitration.config(client.role.name if client.role is not None else "")
        if config is not None and not config.covers(ack.digest_id):
            raise permission_denied(f"digest ack: P4 id {ack.digest_id} does not belong to this role")
        if self._running is None:
            raise failed_precondition("digest ack: no forwarding pipeline config has been set for this device")
        acknowledge(self._running, ack)

    def announce(self, client: Client, role: str, election_id: int | None, config: RoleConfig | None = None) -> None:
        """A client's arbitration update; tells everyone whom it concerns.

        Raises:
            P4RuntimeError: the client's stream has to be closed with this error.
        """
        self._tell(self.arbitration.announce(client, role, election_id, config))

    def leave(self, client: Client) -> None:
        """A client's stream has closed; tells everyone whom it concerns."""
        self._tell(self.arbitration.leave(client))

    def _apart(self, verified: VerifiedConfig) -> Pipeline:
        """A pipeline that is not running."""
        return Pipeline(verified, SwitchState(verified.program, self.switch.clock))

    def _commit(self, verified: VerifiedConfig, prepared: Pipeline | None) -> None:
        """Runs a pipeline, with the forwarding state that was prepared for it apart."""
        try:
            self.switch.set_program(verified.program)
        except ProgramError as error:
            raise invalid_argument(f"config.p4_device_config: {error}") from None
        running = Pipeline(verified, self.switch.state)
        if prepared is not None:
            transfer(prepared, running)
        self._running, self._saved = running, None
        self._notified = {}

    def _check_stream(self, client: Client) -> None:
        if not self.arbitration.is_primary(client):
            raise permission_denied("only the primary client of a role may send this")

    def _tell(self, notices: Sequence[Notice[Client]]) -> None:
        for notice in notices:
            update = p4rt.MasterArbitrationUpdate(
                device_id=self.switch.device_id, status=status_pb2.Status(code=notice.code)
            )
            if notice.client.role is not None:
                update.role.CopyFrom(notice.client.role)
                update.role.ClearField("config")
            if notice.config is not None:
                update.role.config.CopyFrom(notice.config.message)
            if notice.election_id is not None:
                update.election_id.CopyFrom(as_uint128(notice.election_id))
            notice.client.send(p4rt.StreamMessageResponse(arbitration=update))

    def _to_primaries(self, message: p4rt.StreamMessageResponse, p4_id: int) -> None:
        """What an object of the P4Info tells, to the primaries of the roles that it belongs to."""
        for client, role in self.arbitration.primaries():
            if role is None or role.covers(p4_id):
                client.send(message)

    def _packet_in(self, packet: bytes) -> None:
        if self._running is None:
            return
        message = packets.parse(self._running.schema.packet_in, packet)
        if message is None:
            log.warning("a packet of %d octets is too short for its packet_in header", len(packet))
            return
        for client, role in self.arbitration.primaries():
            if role is None or role.hears_packet(message):
                client.send(p4rt.StreamMessageResponse(packet=message))

    def _digest(self, digest_list: DigestList) -> None:
        if self._running is None:
            return
        message = encode_list(self._running, digest_list, time.time_ns())
        if message is not None:
            self._to_primaries(p4rt.StreamMessageResponse(digest=message), message.digest_id)

    def _ports_changed(self) -> None:
        if self._running is not None:
            ports_changed(self._running)

    def _idle_timeout(self, table_name: str, entries: list[Entry]) -> None:
        """Reports idle entries, each at most once in its timeout."""
        pipeline = self._running
        if pipeline is None:
            return
        table = next((t for t in pipeline.schema.tables.values() if t.name == table_name), None)
        if table is None or not table.idle_timeout:
            return
        now = self.switch.clock()
        self._notified = {e: t for e, t in self._notified.items() if now - t < e.idle_timeout_ns}
        due = [entry for entry in entries if entry not in self._notified]
        if not due:
            return
        self._notified.update((entry, now) for entry in due)
        notification = p4rt.IdleTimeoutNotification(timestamp=time.time_ns())
        for entry in due:
            note = pipeline.notes.entries.get(entry_key(table_name, entry), NO_NOTE)
            notification.table_entry.append(encode_entry(pipeline, table, entry, note))
        self._to_primaries(p4rt.StreamMessageResponse(idle_timeout_notification=notification), table.id)


def as_int(number: p4rt.Uint128) -> int:
    """A 128-bit number."""
    return number.high << 64 | number.low


def as_uint128(number: int) -> p4rt.Uint128:
    """A 128-bit number's message."""
    return p4rt.Uint128(high=number >> 64, low=number & (1 << 64) - 1)
