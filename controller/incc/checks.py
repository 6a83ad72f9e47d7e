"""Whether what is asked of a group makes sense."""

from __future__ import annotations

from collections.abc import Iterable

from controller.incc.domains import Carrier, Domain
from controller.incc.errors import InccError
from controller.incc.network import Network

MAX_MEMBERS = 0x8000
MAX_SLOTS = 0x8000


def check_slots(slots: int) -> None:
    """Slots of a group: 16 bits, and two cells for each. Raises InccError."""
    if not 1 <= slots <= MAX_SLOTS:
        raise InccError("slots", slots, f"must be 1 to {MAX_SLOTS}")


def size_of(wanted: tuple[str, ...], size: int | None) -> int:
    """How many members a group has that is made for the accelerators `wanted`, or any `size`. Raises InccError."""
    if (size is None) == (not wanted):
        raise InccError("size", size, "either members or a size is given")
    found = len(wanted) if size is None else size
    if not 1 <= found <= MAX_MEMBERS:
        raise InccError("size", found, f"must be 1 to {MAX_MEMBERS}")
    for index, member in enumerate(wanted):
        if member in wanted[:index]:
            raise InccError(f"members[{index}]", member, "is there twice")
    return found


def least_of(size: int, at_least: int | None) -> int:
    """How many members a group begins with: all, unless it is said otherwise. Raises InccError."""
    if at_least is not None and not 1 <= at_least <= size:
        raise InccError("at_least", at_least, f"must be 1 to {size}, the group's size")
    return size if at_least is None else at_least


def check_member(network: Network, field: str, name: str, domain: Domain) -> None:
    """Members are accelerators of the domain's Instance-ID, with an address of its kind. Raises InccError."""
    accelerator = network.accelerators.get(name)
    if accelerator is None:
        raise InccError(field, name, "is no accelerator")
    address = accelerator.addresses.get(domain.iid)
    if address is None:
        raise InccError(field, name, f"is not in Instance-ID {domain.iid} of domain {domain.name}")
    version = {Carrier.IPV4: 4, Carrier.IPV6: 6}.get(domain.carrier)
    if version != (None if isinstance(address, int) else address.version):
        raise InccError(field, name, f"has {address}, and groups of domain {domain.name} are {domain.carrier.value}")


def check_pod(network: Network, members: Iterable[str], domain: Domain) -> None:
    """Scale-Up ends at the border of a PoD. Raises InccError."""
    if domain.carrier is not Carrier.SCALE_UP:
        return
    pods = {network.accelerators[member].pod: member for member in members}
    if len(pods) > 1:
        spread = ", ".join(f"{member} in {pod}" for pod, member in sorted(pods.items()))
        raise InccError("members", spread, "a Scale-Up group is in one PoD")
