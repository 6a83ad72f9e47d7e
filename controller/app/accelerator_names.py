"""Accelerators have two identities: the binary AccID in Scale-Up frames, and the name the mapping system knows.

The name says the AccID in decimal, so that a router can ask for an accelerator that it has only seen in a frame. Where
a mapping carries the AccID as accelerator metadata (RFC 9306), that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.lisp import DistinguishedName, Eid
from controller.lisp.replication import FIRST_SCALE_UP_GROUP
from controller.xtr import MapCacheEntry

# acc_id_t of the data plane has 32 bits; what begins with four ones is a group.
_MAX_ACC_ID = FIRST_SCALE_UP_GROUP - 1


@dataclass(frozen=True, slots=True)
class AcceleratorNames:
    """The names of one PoD's accelerators: `prefix`, then the AccID, as in "POD-D-AccID-7" (draft section 6.2)."""

    prefix: str = "AccID-"

    def eid(self, iid: int, acc_id: int) -> Eid:
        """The EID of an accelerator in Scale-Up Instance-ID `iid`. Raises ValueError for a number that is no AccID."""
        if not 0 <= acc_id <= _MAX_ACC_ID:
            raise ValueError(f"AccID {acc_id}: must be below {FIRST_SCALE_UP_GROUP:#x}, where groups begin")
        return Eid(iid, DistinguishedName(f"{self.prefix}{acc_id}"))

    def acc_id(self, eid: Eid) -> int | None:
        """The AccID that a name says; None if it is no name of this PoD. Leading zeros would be a second name."""
        if not isinstance(eid.target, DistinguishedName):
            return None
        digits = eid.target.name.removeprefix(self.prefix)
        if digits == eid.target.name or not (digits.isascii() and digits.isdecimal()) or len(digits) > 10:
            return None
        number = int(digits)
        return number if number <= _MAX_ACC_ID and str(number) == digits else None

    def acc_id_of(self, entry: MapCacheEntry) -> int | None:
        """The AccID of a map-cache entry: what its metadata tells, else what its name says; None if neither does."""
        told = {locator.metadata.acc_id for locator in entry.locators if locator.metadata is not None} - {None}
        if len(told) > 1:
            return None  # the registering xTRs contradict each other
        return told.pop() if told else self.acc_id(entry.eid)
