"""A P4Runtime 1.5 server over the forwarding state of a switch.

`Device` is one switch with its pipelines and clients; `serve` opens a gRPC server for devices.
"""

from softswitch.p4runtime.device import Device
from softswitch.p4runtime.service import API_VERSION, Server, serve

__all__ = ["API_VERSION", "Device", "Server", "serve"]
