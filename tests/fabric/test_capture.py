"""Every message of a whole fabric, read by Wireshark's dissectors: nothing is malformed, nothing questioned."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from controller.app.network import Recorded, write_pcap
from controller.app.xtr_settings import ProbingSettings
from controller.lisp import DistinguishedName, MapReply, MapRequest, NoAddress, is_group
from tests.fabric.observe import Observer, acc, eid, figure1, observed
from tests.lisp.test_tshark import LIMITS, UNSUBSCRIBE
from tests.mapping.harness import Seen
from tests.multicast.support import GROUP, SCALE_UP_GROUP, GroupFabric, accelerator

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="NOT OBSERVED: tshark is not installed")


def questions(file: Path) -> tuple[Counter[str], Counter[str]]:
    """How many messages of each LISP type there are in a capture, and what is questioned about them how often."""
    assert TSHARK is not None
    fields = ("lisp.type", "_ws.malformed", "_ws.expert.message", "udp.checksum.status", "ip.checksum.status")
    command = [TSHARK, "-r", str(file), "-T", "fields", "-E", "aggregator=;", "-o", "udp.check_checksum:TRUE"]
    command += ["-o", "ip.check_checksum:TRUE", *(part for field in fields for part in ("-e", field))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    types: Counter[str] = Counter()
    questioned: Counter[str] = Counter()
    for line in run.stdout.splitlines():
        kinds, malformed, expert, *checksums = line.split("\t")
        types["+".join(kinds.split(";"))] += 1
        texts = [text for text in expert.split(";") if text and text not in LIMITS]
        if malformed:
            texts.append(f"malformed {malformed}")
        if set(";".join(checksums).split(";")) != {"1"}:
            texts.append(f"checksums {checksums}")
        questioned.update(texts)
    return types, questioned


async def everything_that_happens(fabric: Observer) -> None:
    """Resolving, Scale-Up, unknown destinations, leaving, coming back, probes."""
    await fabric.resolve("acc1", "40.0.0.7")
    await fabric.resolve("acc3", "10.0.0.2")
    await fabric.resolve("acc1", "10.0.0.99")
    await fabric.scale_up("acc7", 8)
    fabric.fabric.detach("acc7", "D1")
    await fabric.settle()
    fabric.fabric.attach("acc7")
    await fabric.settle()
    router = fabric.fabric.routers["A1"]
    router.perform(router.machine.unsubscribe(eid("10.0.0.0/16"), router.now()))
    await fabric.settle()


async def test_figure_1_from_its_start(tmp_path: Path) -> None:
    topology = figure1().model_copy(update={"probing": ProbingSettings(interval=1.0, timeout=0.2)})
    async with observed(topology) as fabric:
        await everything_that_happens(fabric)
        record = list(fabric.fabric.network.record)
        unsubscribed = [seen for seen in fabric.sent(MapRequest) if _unsubscribes(seen.message)]  # type: ignore[arg-type]
        names = [seen for seen in fabric.seen() if any(_is_name(record.key.target) for record in seen.records)]
        probed = [seen for seen in fabric.sent(MapReply) if seen.message.probe]  # type: ignore[union-attr]
        assert acc("D", 7) in {record.key for seen in names for record in seen.records}
        assert len(unsubscribed) == 1
        assert probed
    types, questioned = _dissect(tmp_path, record)
    # Map-Request (in an ECM: 8+1, bare as a probe: 1), Map-Reply, Map-Register, Map-Notify, Map-Notify-Ack.
    assert set(types) == {"8+1", "1", "2", "3", "4", "5"}
    assert sum(types.values()) == len(record)
    assert questioned == Counter({UNSUBSCRIBE: 1})


def _unsubscribes(message: MapRequest) -> bool:
    return any(isinstance(rloc, NoAddress) for rloc in message.itr_rlocs)


def _is_name(target: object) -> bool:
    return isinstance(target, DistinguishedName)


def test_groups_of_both_domains(tmp_path: Path) -> None:
    """Joining, replication lists, leaving: (S,G) and (*,G) with their replication list entries (RFC 8378)."""
    fabric = GroupFabric()
    fabric.start()
    fabric.net.run(10)
    fabric.everybody_up()
    fabric.net.run(10)
    for name, one, group in [
        ("D1", eid("40.0.0.7"), GROUP),
        ("D2", eid("40.0.0.7"), GROUP),
        ("A1", eid("10.0.0.1"), GROUP),
        ("D1", accelerator("D", 7), SCALE_UP_GROUP),
        ("D2", accelerator("D", 8), SCALE_UP_GROUP),
    ]:
        fabric.join(name, one, group)
        fabric.net.run(5)
    fabric.leave("A1", eid("10.0.0.1"), GROUP)
    fabric.net.run(10)
    groups = [seen for seen in fabric.net.sent if _speaks_of_a_group(seen)]
    assert len(groups) > 10
    types, questioned = _dissect(tmp_path, (Recorded(seen.at, seen.datagram, True) for seen in groups))
    assert {"3", "4", "5", "8+1"} <= set(types)
    assert questioned == Counter()


def _speaks_of_a_group(seen: Seen) -> bool:
    return any(is_group(record.key) for record in getattr(seen.message, "records", ()))


def _dissect(folder: Path, record: Iterable[Recorded]) -> tuple[Counter[str], Counter[str]]:
    file = folder / "messages.pcap"
    write_pcap(file, record)
    return questions(file)
