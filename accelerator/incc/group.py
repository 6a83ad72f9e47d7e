"""Groups as programs use them: `AsyncGroup` in an event loop, `Group` from any thread.

group = await AsyncGroup.join("training", accelerator="acc1", fabric="figure1")
total = await group.all_reduce(gradients)

with Group.join("training", accelerator="acc1", fabric="figure1") as group:
    total = group.all_reduce(gradients)
    handle = group.start.all_reduce(gradients)
    total = handle.wait()
"""

from __future__ import annotations

from accelerator.incc.asynchronous import AsyncGroup
from accelerator.incc.blocking import Group
from accelerator.incc.handle import CancelledError, Handle
from accelerator.incc.ways import Attach, attach_interface, attach_link, attach_udp, carrier_of, place_of

__all__ = [
    "AsyncGroup",
    "Attach",
    "CancelledError",
    "Group",
    "Handle",
    "attach_interface",
    "attach_link",
    "attach_udp",
    "carrier_of",
    "place_of",
]
