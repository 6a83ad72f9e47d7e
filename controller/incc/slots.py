"""Slots of the switches: which group has which, and who is admitted."""

from __future__ import annotations

from collections.abc import Mapping


class Slots:
    """The slots of every switch, handed out in ranges: the first gap that is large enough."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """`sizes`: slots of each switch."""
        self._sizes = dict(sizes)
        self._held: dict[str, dict[int, range]] = {switch: {} for switch in sizes}

    def of(self, switch: str, group: int) -> range | None:
        """What a group has at a switch."""
        return self._held[switch].get(group)

    def fits(self, switch: str, group: int, slots: int) -> bool:
        """Whether a group has, or could have, so many slots at a switch."""
        return group in self._held[switch] or self._gap(switch, slots) is not None

    def free(self, switch: str) -> int:
        """The largest number of slots that a switch could give to one group."""
        return max(gap.stop - gap.start for gap in self._gaps(switch))

    def reserve(self, switch: str, group: int, slots: int) -> range | None:
        """Gives a group its slots at a switch, the same as it has there; None if there is no room."""
        held = self._held[switch].get(group)
        if held is not None:
            return held
        first = self._gap(switch, slots)
        if first is None:
            return None
        self._held[switch][group] = found = range(first, first + slots)
        return found

    def take(self, switch: str, group: int, slots: range) -> bool:
        """Gives a group these slots, as it had them before; False, and nothing done, if they are not free."""
        held = self._held.get(switch)
        if held is None or not any(gap.start <= slots.start and slots.stop <= gap.stop for gap in self._gaps(switch)):
            return False
        held[group] = slots
        return True

    def release(self, switch: str, group: int) -> None:
        """A group needs its slots at a switch no more."""
        self._held[switch].pop(group, None)

    def first_of(self, group: int) -> dict[str, int]:
        """The first slot that a group has at each switch."""
        return {switch: held[group].start for switch, held in self._held.items() if group in held}

    def ranges(self, switch: str) -> dict[int, range]:
        """All that is taken at a switch, by group."""
        return dict(self._held[switch])

    def _gap(self, switch: str, slots: int) -> int | None:
        return next((gap.start for gap in self._gaps(switch) if gap.stop - gap.start >= slots), None)

    def _gaps(self, switch: str) -> list[range]:
        gaps, at = [], 0
        for taken in sorted(self._held[switch].values(), key=lambda one: one.start):
            gaps.append(range(at, taken.start))
            at = taken.stop
        return [*gaps, range(at, self._sizes[switch])]
