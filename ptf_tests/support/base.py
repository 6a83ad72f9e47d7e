"""The base of every test: a switch that starts empty, and what a test does to it and expects of it.

Expectations are strict. `expect` takes the next packet that leaves the switch on any port, and at the end of a test
nothing may be left: a packet too many fails the test that caused it.
"""

from __future__ import annotations

import time
import unittest
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ptf
import ptf.ptfutils
import ptf.testutils as testutils
from ptf.base_tests import BaseTest
from ptf.mask import Mask
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from controller.dataplane.codepoints import SUBMIT, TRANSMIT, DropReason, PuntReason
from controller.dataplane.entries import switch_context
from controller.p4rt.entities import CounterData, MeterCell, State, TableEntry
from controller.p4rt.packetio import PacketIn
from ptf_tests.support.control import Switch, connect, difference
from ptf_tests.support.requirement import record

# Bits of an encapsulated frame that a flow's entropy fills: the low 14 of the outer UDP source port, behind Ethernet
# and IP, and the flow label of IPv6. What is left of the source port says that it is in 49152-65535.
_ENTROPY_BITS = 14
_FLOW_LABEL = 14 * 8 + 12, 20

# Seconds that are listened for a frame where the test goes on: one that comes later is not what is expected next, or is
# left at the end.
_MOMENT = 0.005


def any_entropy(frame: Packet) -> Mask:
    """Frames that equal `frame` but for the flow's entropy in the outer UDP source port and IPv6 flow label."""
    mask = Mask(frame)
    version = bytes(frame)[14] >> 4
    mask.set_do_not_care((14 + (20 if version == 4 else 40)) * 8 + 2, _ENTROPY_BITS)
    if version == 6:
        mask.set_do_not_care(*_FLOW_LABEL)
    return mask


class FabricTest(BaseTest):  # type: ignore[misc]  # PTF is not typed
    """A test of the fabric's program. Ports are numbers; frames are scapy packets or octets.

    `configured`: what the switch has when the test begins.
    """

    configured: Sequence[State] = ()
    switch: Switch

    def setUp(self) -> None:
        """Connects (once a run) and starts from a switch with nothing but what is `configured`, and empty queues."""
        super().setUp()
        self.dataplane = ptf.dataplane_instance
        self.switch = connect(testutils.test_param_get("grpc"), testutils.test_param_get("program"))
        self._written: dict[object, State] = {}
        self.addCleanup(self._remove_all)
        self.dataplane.flush()
        self.switch.forget_packets()
        if self.configured:
            self.write(*self.configured)

    def tearDown(self) -> None:
        """Fails when a packet has left the switch, or come to the controller, that nobody expected."""
        self.expect_nothing()
        self.expect_no_punt(0)
        super().tearDown()

    def run(self, result: unittest.TestResult | None = None) -> None:
        """Runs the test and writes down what came of it."""
        assert result is not None
        before = len(result.failures) + len(result.errors)
        super().run(result)
        outcome = "passed" if before == len(result.failures) + len(result.errors) else "failed"
        record(Path(testutils.test_param_get("records")), type(self), outcome, testutils.test_param_get("target"))

    @contextmanager
    def subTest(self, case: str = "", **parameters: object) -> Iterator[None]:
        """As unittest's; the frames of one that fails do not disturb the next."""
        with super().subTest(case, **parameters):
            try:
                yield
            except BaseException:
                self.dataplane.flush()
                self.switch.forget_packets()
                raise

    # -- entries ------------------------------------------------------------------------------------------

    def write(self, *entries: State) -> None:
        """Inserts entries, or changes those that this test has inserted, until the end of the test."""
        changed = [entry for entry in entries if self._exists(entry)]
        new = [entry for entry in entries if not self._exists(entry)]
        if new:
            self.switch.insert(*new)
        if changed:
            self.switch.modify(*changed)
        self._written.update((entry.key(), entry) for entry in entries)

    def remove(self, *entries: State) -> None:
        """Deletes entries that this test has inserted."""
        self.switch.delete(*entries)
        for entry in entries:
            del self._written[entry.key()]

    def _exists(self, entry: State) -> bool:
        return entry.key() in self._written or _is_default(entry)

    def _remove_all(self) -> None:
        inserted = [entry for entry in self._written.values() if not _is_default(entry)]
        meters = [
            MeterCell(entry.meter, entry.index) for entry in self._written.values() if isinstance(entry, MeterCell)
        ]
        if len(inserted) < len(self._written):
            self.switch.modify(switch_context(hash_rotation=0), *meters)  # the one default that a controller sets
        if inserted:
            self.switch.delete(*inserted)

    # -- packets ------------------------------------------------------------------------------------------

    def send(self, port: int, frame: Packet | bytes) -> None:
        """Sends a frame to a port of the switch."""
        testutils.send_packet(self, port, frame)

    def receive(self, port: int | None = None) -> Packet:
        """The next frame that leaves the switch, which must leave through `port` if that is given."""
        return self._next()[1] if port is None else self._expect_from(port)

    def receive_anywhere(self) -> tuple[int, Packet]:
        """The next frame that leaves the switch, and its port."""
        return self._next()

    def expect(self, port: int, frame: Packet | Mask) -> Packet:
        """The next frame that leaves the switch leaves through `port` and is `frame`; returns it."""
        received = self._expect_from(port)
        wanted = frame if isinstance(frame, Mask) else Mask(frame)
        if not wanted.pkt_match(bytes(received)):
            self.fail(f"port {port}: another frame than expected\n{_compare(wanted, received)}")
        return received

    def expect_nothing(self, timeout: float | None = None) -> None:
        """No frame leaves the switch within `timeout` seconds, by default the negative timeout."""
        seconds = ptf.ptfutils.default_negative_timeout if timeout is None else timeout
        result = testutils.dp_poll(self, timeout=seconds)
        if isinstance(result, self.dataplane.PollSuccess):
            self.fail(f"a frame left through port {result.port}: {Ether(result.packet)!r}")

    def _expect_from(self, port: int) -> Packet:
        actual, frame = self._next()
        self.assertEqual(actual, port, f"left through port {actual}, not {port}: {frame!r}")
        return frame

    def _next(self) -> tuple[int, Packet]:
        result = testutils.dp_poll(self)
        if not isinstance(result, self.dataplane.PollSuccess):
            self.fail(f"no frame left the switch; dropped so far: {self._drops_text()}")
        return result.port, Ether(result.packet)

    def forward(self, port: int, frames: Sequence[Packet]) -> list[tuple[int, Packet]]:
        """Sends frames to `port` one after the other; returns where each left, and as what."""
        results = []
        for frame in frames:
            self.send(port, frame)
            results.append(self._next())
        return results

    def everything(self, count: int, patience: float | None = None) -> list[tuple[int, Packet]]:
        """The next `count` frames that leave the switch, each with its port, and those that follow within a moment.

        Fewer if the next one is not there in `patience` seconds, by default as long as any frame is waited for.
        """
        if patience is None:
            patience = ptf.ptfutils.default_timeout
        frames: list[tuple[int, Packet]] = []
        while True:
            result = testutils.dp_poll(self, timeout=patience if len(frames) < count else _MOMENT)
            if not isinstance(result, self.dataplane.PollSuccess):
                return frames
            frames.append((result.port, Ether(result.packet)))

    # -- controller ---------------------------------------------------------------------------------------

    def transmit(self, port: int, frame: Packet | bytes) -> None:
        """The controller has the switch send a frame as it is."""
        self.switch.packet_out(frame, port=port, mode=TRANSMIT)

    def submit(self, iid: int, frame: Packet | bytes) -> None:
        """The controller puts a frame into ingress, as if an accelerator of `iid` had sent it."""
        self.switch.packet_out(frame, mode=SUBMIT, iid=iid)

    def expect_punt(self, reason: PuntReason, frame: Packet | bytes, *, port: int, iid: int, mtu: int = 0) -> PacketIn:
        """The next packet to the controller is `frame`, with this metadata; returns it."""
        packet = self.switch.packet_in(ptf.ptfutils.default_timeout)
        if packet is None:
            raise self.failureException(f"no packet came to the controller; dropped: {self._drops_text()}")
        self.assertEqual(dict(packet.metadata), {"ingress_port": port, "reason": reason, "iid": iid, "mtu": mtu})
        if packet.payload != bytes(frame):
            self.fail(f"another packet came to the controller\n{_compare(Mask(frame), Ether(packet.payload))}")
        return packet

    def expect_no_punt(self, timeout: float | None = None) -> None:
        """No packet comes to the controller within `timeout` seconds, by default the negative timeout."""
        packet = self.switch.packet_in(ptf.ptfutils.default_negative_timeout if timeout is None else timeout)
        if packet is not None:
            self.fail(f"a packet came to the controller: {dict(packet.metadata)} {Ether(packet.payload)!r}")

    @contextmanager
    def drops(self, reason: DropReason, count: int = 1) -> Iterator[None]:
        """Within this block `count` packets are dropped for `reason`, none for another, and nothing leaves."""
        before = self.switch.drops()
        yield
        deadline = time.monotonic() + ptf.ptfutils.default_timeout
        while time.monotonic() < deadline and not self.dropped_since(before).total() >= count:
            time.sleep(0.005)
        self.expect_nothing(_MOMENT)
        self.expect_no_punt(0)  # the wait for frames was one for packets to the controller too
        self.assertEqual(self.dropped_since(before), Counter({reason: count}))

    @contextmanager
    def no_drops(self) -> Iterator[None]:
        """Within this block nothing is dropped."""
        before = self.switch.drops()
        yield
        self.assertEqual(self.dropped_since(before), Counter())

    def dropped_since(self, before: dict[DropReason, CounterData]) -> Counter[DropReason]:
        """Packets dropped since `before` was read, by reason."""
        return difference(before, self.switch.drops())

    def _drops_text(self) -> str:
        return ", ".join(f"{r.name} {d.packets}" for r, d in self.switch.drops().items() if d.packets) or "nothing"


def _is_default(entry: State) -> bool:
    """Whether it is always there, so that it can only be modified."""
    return isinstance(entry, MeterCell) or (isinstance(entry, TableEntry) and entry.is_default)


def _compare(wanted: Mask, received: Packet) -> str:
    """Both frames in full, and the octets in which they differ."""
    expected, actual = bytes(wanted.exp_pkt), bytes(received)
    differing = [
        index
        for index, (left, right) in enumerate(zip(expected, actual, strict=False))
        if (left ^ right) & wanted.mask[index]
    ]
    return (
        f"expected {len(expected)} octets: {expected.hex()}\n{Ether(expected)!r}\n"
        f"received {len(actual)} octets: {actual.hex()}\n{Ether(actual)!r}\n"
        f"octets that differ: {differing}"
    )
