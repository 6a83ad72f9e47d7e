"""Port back ends, and the queue that packets wait in."""

from softswitch.ports.base import Port, PortError, Receive
from softswitch.ports.link import HostPort, LinkEnd, make_link
from softswitch.ports.packet_socket import InterfacePort
from softswitch.ports.pcap import PcapPacket, PcapPort, PcapWriter, read_pcap
from softswitch.ports.unix_socket import DatagramPort, SequencePort
from softswitch.ports.workqueue import WorkQueue, shared_queue

__all__ = [
    "DatagramPort",
    "HostPort",
    "InterfacePort",
    "LinkEnd",
    "PcapPacket",
    "PcapPort",
    "PcapWriter",
    "Port",
    "PortError",
    "Receive",
    "SequencePort",
    "WorkQueue",
    "make_link",
    "read_pcap",
    "shared_queue",
]
