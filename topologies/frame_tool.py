"""Frames that no socket makes: `python -m topologies.frame_tool send|listen ...` inside an accelerator's network.

Scale-Up frames, and RoCEv2-like packets: UDP to port 4791 with an InfiniBand Base Transport Header of an RC SEND, its
queue pair and packet sequence number, and four octets in place of the ICRC.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from accelerator.ethernet import PacketError, decode_ethernet, ethernet
from accelerator.ip import ETHERTYPES, UDP, IpPacket, decode_ip, udp
from accelerator.scale_up import ETHERTYPE_SCALE_UP, ScaleUpPacket, decode_scale_up

ROCE_PORT: Final = 4791

_ALL_TYPES: Final = 0x0003  # ETH_P_ALL
_MTU: Final = 65536
_UDP_OCTETS: Final = 8
_BTH: Final = struct.Struct("!BBHII")
_RC_SEND_ONLY: Final = 0x04
_DEFAULT_PARTITION: Final = 0xFFFF
_GAP: Final = 0.0005  # seconds between two frames: this is no generator of load


def scale_up_frame(router: bytes, own: bytes, source: int, destination: int, number: int) -> bytes:
    """A Scale-Up message with a sequence number."""
    packet = ScaleUpPacket(source, destination, b"lispfabric", sequence=number)
    return ethernet(router, own, ETHERTYPE_SCALE_UP, packet.encode())


def roce_frame(router: bytes, own: bytes, source: str, destination: str, queue_pair: int, number: int) -> bytes:
    """A RoCEv2-like packet with a packet sequence number, 24 bits."""
    ends = ip_address(source), ip_address(destination)
    header = _BTH.pack(_RC_SEND_ONLY, 0, _DEFAULT_PARTITION, queue_pair & 0xFFFFFF, number & 0xFFFFFF)
    # The source port is the entropy of a queue pair, as network adapters choose it.
    datagram = udp(*ends, 0xC000 | queue_pair & 0x3FFF, ROCE_PORT, header + b"lispfabric" + bytes(2 + 4))
    return ethernet(router, own, ETHERTYPES[ends[0].version], IpPacket(*ends, UDP, datagram).encode())


def describe(frame: bytes) -> dict[str, object] | None:
    """What a received frame is; None for what is neither kind."""
    try:
        _, _, ether_type, payload = decode_ethernet(frame)
        if ether_type == ETHERTYPE_SCALE_UP:
            packet = decode_scale_up(payload)
            return {"kind": "scale-up", "from": packet.source, "to": packet.destination, "number": packet.sequence}
        if ether_type not in ETHERTYPES.values():
            return None
        ip = decode_ip(payload)
    except PacketError:
        return None
    if ip.protocol != UDP or ip.payload[2:4] != ROCE_PORT.to_bytes(2, "big"):
        return None
    _, _, _, queue_pair, number = _BTH.unpack_from(ip.payload, _UDP_OCTETS)
    return {"kind": "roce", "from": str(ip.source), "to": str(ip.destination), "qp": queue_pair, "number": number}


def send(interface: str, frames: list[bytes]) -> None:
    """Sends frames out of an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind((interface, 0))
        for frame in frames:
            out.send(frame)
            time.sleep(_GAP)


def listen(interfaces: list[str], kind: str, count: int, seconds: float) -> list[dict[str, object]]:
    """What comes in on any of the interfaces, until `count` of this kind have come or the time is over."""
    found: list[dict[str, object]] = []
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_TYPES)) as into:
        print("listening", flush=True)
        while len(found) < count and (left := until - time.monotonic()) > 0:
            into.settimeout(left)
            try:
                frame, address = into.recvfrom(_MTU)
            except TimeoutError:
                break
            if address[0] in interfaces and address[2] != socket.PACKET_OUTGOING:
                said = describe(frame)
                if said is not None and said["kind"] == kind:
                    found.append(said)
    return found


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Sends or receives Scale-Up frames and RoCEv2-like packets.")
    does = parser.add_subparsers(dest="verb", required=True)
    sender = does.add_parser("send")
    sender.add_argument("kind", choices=["scale-up", "roce"])
    sender.add_argument("interface")
    sender.add_argument("router", help="MAC address of the access switch's port")
    sender.add_argument("source", help="own AccID or IP address")
    sender.add_argument("destination", help="AccID or IP address")
    sender.add_argument("--count", type=int, default=1)
    sender.add_argument("--queue-pair", type=int, default=1)
    listener = does.add_parser("listen")
    listener.add_argument("kind", choices=["scale-up", "roce"])
    listener.add_argument("interfaces", nargs="+")
    listener.add_argument("--count", type=int, default=1)
    listener.add_argument("--seconds", type=float, default=5.0)
    said = parser.parse_args()
    if said.verb == "listen":
        print(json.dumps(listen(said.interfaces, said.kind, said.count, said.seconds)))
        return
    own = bytes.fromhex(Path(f"/sys/class/net/{said.interface}/address").read_text().strip().replace(":", ""))
    router = bytes.fromhex(said.router.replace(":", ""))
    numbers = range(1, said.count + 1)
    try:
        if said.kind == "scale-up":
            ends = int(said.source), int(said.destination)
            frames = [scale_up_frame(router, own, *ends, number) for number in numbers]
        else:
            frames = [
                roce_frame(router, own, said.source, said.destination, said.queue_pair, number) for number in numbers
            ]
        send(said.interface, frames)
    except (ValueError, OSError) as error:
        sys.exit(f"frame_tool: {error}")


if __name__ == "__main__":
    main()
