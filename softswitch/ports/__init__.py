"""Port back ends, and the queue that packets wait in."""

from softswitch.ports.base import Port, PortError, Receive
from softswitch.ports.effects import Channel, ChannelCounters, Effects
from softswitch.ports.effects_text import parse_effects
from softswitch.ports.impaired import ImpairedPort, Mover
from softswitch.ports.link import HostPort, LinkEnd, make_link
from softswitch.ports.packet_socket import InterfacePort
from softswitch.ports.pcap import PcapPacket, PcapPort, PcapWriter, read_pcap
from softswitch.ports.unix_socket import DatagramPort, SequencePort
from softswitch.ports.workqueue import WorkQueue, shared_queue

__all__ = [
    "Channel",
    "ChannelCounters",
    "DatagramPort",
    "Effects",
    "HostPort",
    "ImpairedPort",
    "InterfacePort",
    "LinkEnd",
    "Mover",
    "PcapPacket",
    "PcapPort",
    "PcapWriter",
    "Port",
    "PortError",
    "Receive",
    "SequencePort",
    "WorkQueue",
    "make_link",
    "parse_effects",
    "read_pcap",
    "shared_queue",
]
