"""Digests: samples of packet fields, gathered into lists for the control plane.

A sample that is waiting or has been sent but not acknowledged is not sent again, until the acknowledgement
arrives or times out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softswitch.program.stateful import DigestDef
from softswitch.state.errors import InvalidEntry

Sample = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DigestConfig:
    """How lists are formed.

    max_list_size:  samples in a list, 0 for no limit
    max_timeout_ns: longest wait of a sample, 0 for none at all
    ack_timeout_ns: how long a sent sample is held back from being sent again, 0 for not at all
    """

    max_list_size: int = 0
    max_timeout_ns: int = 0
    ack_timeout_ns: int = 0


@dataclass(frozen=True, slots=True)
class DigestList:
    """Samples in the order of the digest's fields; timestamp is the switch clock in ns."""

    name: str
    list_id: int
    samples: tuple[Sample, ...]
    timestamp_ns: int


class DigestStream:
    """The digest of one name. Samples are dropped until it is configured."""

    def __init__(self, definition: DigestDef, clock: Callable[[], int]) -> None:
        self.definition = definition
        self.name = definition.name
        self.config: DigestConfig | None = None
        self.callback: Callable[[DigestList], None] | None = None
        self._clock = clock
        self._next_list_id = 1
        self._waiting: list[Sample] = []
        self._waiting_since = 0
        self._held: set[Sample] = set()
        self._unacked: dict[int, tuple[int, tuple[Sample, ...]]] = {}

    def configure(self, config: DigestConfig) -> None:
        """Start, or change how lists are formed. InvalidEntry on negative values."""
        if min(config.max_list_size, config.max_timeout_ns, config.ack_timeout_ns) < 0:
            raise InvalidEntry(f"digest {self.name}: negative value in {config}")
        self.config = config
        self.poll()

    def disable(self) -> None:
        """Stop; waiting samples are dropped."""
        self.config = None
        self.clear()

    def add(self, sample: Sample) -> None:
        """A packet's sample."""
        if self.config is None or sample in self._held:
            return
        if not self._waiting:
            self._waiting_since = self._clock()
        self._waiting.append(sample)
        self._held.add(sample)
        full = self.config.max_list_size and len(self._waiting) >= self.config.max_list_size
        if full or self.config.max_timeout_ns == 0:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        if not self._waiting or self.config is None:
            return
        now = self._clock()
        digest = DigestList(self.name, self._next_list_id, tuple(self._waiting), now)
        self._next_list_id += 1
        self._waiting = []
        if self.config.ack_timeout_ns:
            self._unacked[digest.list_id] = (now + self.config.ack_timeout_ns, digest.samples)
        else:
            self._held.difference_update(digest.samples)
        if self.callback is not None:
            self.callback(digest)

    def ack(self, list_id: int) -> None:
        """The control plane has seen a list. Unknown or late acknowledgements are ignored."""
        _, samples = self._unacked.pop(list_id, (0, ()))
        self._held.difference_update(samples)

    def poll(self) -> None:
        """Do what time has made due: call at :meth:`next_deadline_ns` or regularly."""
        now = self._clock()
        for list_id in [list_id for list_id, (due, _) in self._unacked.items() if due <= now]:
            self.ack(list_id)
        if self._waiting and self.config and now >= self._waiting_since + self.config.max_timeout_ns:
            self.flush()

    def next_deadline_ns(self) -> int | None:
        """When poll() next has something to do, None for never."""
        deadlines = [due for due, _ in self._unacked.values()]
        if self._waiting and self.config:
            deadlines.append(self._waiting_since + self.config.max_timeout_ns)
        return min(deadlines, default=None)

    def clear(self) -> None:
        """Forget waiting and unacknowledged samples."""
        self._waiting.clear()
        self._held.clear()
        self._unacked.clear()
