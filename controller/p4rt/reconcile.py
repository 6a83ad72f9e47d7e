"""Keeps a switch in the state a controller desires, with as few writes as that takes.

The writer holds the desired state and a mirror of the switch. A change only marks what it concerns; one task
writes what is marked, so changes that come while it writes are coalesced, and the last one wins. Whenever
this controller becomes primary, be it after its own restart, the switch is read and the difference written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from grpc import StatusCode

from controller.p4rt.batches import Outcome, write_steps
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.codec import Encoded
from controller.p4rt.entities import State, Volatile
from controller.p4rt.errors import EncodingError, NotConnectedError, RpcError
from controller.p4rt.failures import Failure, FailureBook, Remedy, leaves_doubt, remedy
from controller.p4rt.grouping import Grouping
from controller.p4rt.pipeline import PipelineMode
from controller.p4rt.plan import DELETE, INSERT, Mirror, Stage, Step, decide, plan
from controller.p4rt.readback import StateReader
from controller.p4rt.stream import StreamState
from controller.p4rt.target import Backoff

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WriterStats:
    """What a writer has done so far: updates that succeeded or failed, calls, and reads of the whole switch."""

    inserted: int = 0
    modified: int = 0
    deleted: int = 0
    failed: int = 0
    batches: int = 0
    synchronizations: int = 0

    @property
    def updates(self) -> int:
        """All updates that succeeded."""
        return self.inserted + self.modified + self.deleted


class Writer:
    """Writes the desired state of one switch; an async context manager that runs the task which does it.

    Until `set_desired` or `sweep` is called, the desired state counts as incomplete: it is written, but
    nothing else is removed from the switch. So a restarted controller may `apply` what it learns, and `sweep`
    once it has learned everything, without taking away what still carries traffic.

    Args:
        client: a started client; the writer puts its pipeline on the switch.
        batch: largest number of updates in one Write.
        mode: what becomes of the switch's state if it has another pipeline.
        on_failure: is told of every update that failed.

    Attributes:
        stats: counts.
        on_lost: is called when a switch that has been written to turns out to have lost some of it, before that is
            written again: it was started anew, or somebody else wrote.
    """

    def __init__(
        self,
        client: P4RuntimeClient,
        *,
        batch: int = 500,
        mode: PipelineMode = PipelineMode.CLEAR,
        on_failure: Callable[[Failure], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._client, self._codec = client, client.codec
        self._batch, self._mode, self._on_failure = batch, mode, on_failure
        self._backoff = backoff or Backoff()
        self._pauses = self._backoff.pauses()
        tables = self._codec.info.tables
        self._room = {table.id: table.size for table in tables if table.size > 0}
        defaults = [self._codec.table(t.name).initial_default() for t in tables if t.default_is_settable]
        self._mirror = Mirror({entry.key: entry.wire for entry in defaults if entry is not None})
        self._grouping = None if client.pipeline.one_shot else Grouping(self._codec)
        self._desired: dict[bytes, Encoded] = {}
        self._unwanted: set[bytes] = set()  # removed while the desired state was incomplete
        self._complete = False
        self._marked: set[bytes] = set()
        self._failures = FailureBook()
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stats = WriterStats()
        self.on_lost: Callable[[], None] | None = None

    # -- what is desired ----------------------------------------------------------------------------------

    def set_desired(self, entities: Iterable[State]) -> None:
        """Desire exactly these entities; whatever else is on the switch goes.

        Raises:
            EncodingError, UnknownNameError: naming what is wrong; the desired state is as it was.
        """
        grouping = None if self._grouping is None else Grouping(self._codec)
        if grouping is not None:
            entities, _ = grouping.apply(entities, ())
        desired: dict[bytes, Encoded] = {}
        for entity in entities:
            encoded = self._encode(entity)
            if desired.setdefault(encoded.key, encoded).wire != encoded.wire:
                raise EncodingError(f"{entity}: is desired twice, in different states")
        changed = {key for key, entity in desired.items() if self._desired.get(key) != entity}
        changed |= self._desired.keys() - desired.keys()
        self._desired, self._grouping = desired, grouping
        self._mark(changed)
        self.sweep()

    def apply(self, put: Iterable[State] = (), remove: Iterable[State] = ()) -> None:
        """Change the desired state; of what is removed only the key matters. What is in both is put.

        Raises:
            EncodingError, UnknownNameError: naming what is wrong; the desired state is as it was.
        """
        if self._grouping is not None:
            put, remove = self._grouping.apply(put, remove)
        gone = {self._codec.key(entity) for entity in remove}
        new = {encoded.key: encoded for encoded in map(self._encode, put)}
        gone -= new.keys()
        changed = {key for key, entity in new.items() if self._desired.get(key) != entity}
        if self._complete:
            changed |= gone & self._desired.keys()
        else:  # it may be on the switch all the same, from before this controller started
            changed |= gone
            self._unwanted = (self._unwanted | gone) - new.keys()
        for key in gone:
            self._desired.pop(key, None)
        self._desired.update(new)
        self._mark(changed)

    def sweep(self) -> None:
        """The desired state is complete: remove from the switch what is not part of it."""
        self._complete = True
        self._unwanted.clear()
        self._mark({key for key in self._mirror if key not in self._desired})

    def retry(self) -> None:
        """Try again whatever failed."""
        self._mark(set().union(*(self._failures.waiting(kind) for kind in Remedy)))

    def _encode(self, entity: State) -> Encoded:
        if isinstance(entity, Volatile):
            raise EncodingError(f"{entity}: changes by itself and so cannot be desired")
        encoded = self._codec.encode(entity)
        if encoded.resident and encoded.key == encoded.wire:
            raise EncodingError(f"{entity}: has no content; to reset it, remove it")
        return encoded

    def _mark(self, keys: set[bytes]) -> None:
        if keys:
            self._marked |= keys
            for key in keys:
                self._failures.settle(key)
            self._quiet.clear()
            self._wake.set()

    # -- how far it is ------------------------------------------------------------------------------------

    async def settled(self) -> tuple[Failure, ...]:
        """Wait until everything desired by now is on the switch, or has failed; returns what failed.

        Waits as long as this controller is not primary; `asyncio.timeout` bounds that.
        """
        await self._quiet.wait()
        return self._failures.failures()

    def failures(self) -> tuple[Failure, ...]:
        """What the switch refuses at the moment."""
        return self._failures.failures()

    def __len__(self) -> int:
        """How many entities are desired."""
        return len(self._desired)

    # -- life ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Writer:
        self._stop_listening = self._client.stream.on_state(self._on_state)
        self._task = asyncio.create_task(self._run(), name=f"p4runtime writer {self._client.target}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_listening()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _on_state(self, state: StreamState) -> None:
        if state is not StreamState.PRIMARY:
            self._quiet.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            term = await self._client.stream.wait_primary()
            try:
                await self._synchronize()
                await self._write_marked(term)
                continue
            except (RpcError, NotConnectedError) as error:
                log.warning("%s: writing stopped: %s", self._client.target, error)
            except Exception:
                # a fault in here must not leave the switch as it is for ever
                log.exception("%s: writing failed", self._client.target)
            self._quiet.clear()
            await asyncio.sleep(next(self._pauses))

    # -- the switch ---------------------------------------------------------------------------------------

    async def _synchronize(self) -> None:
        """Read the switch, and mark what differs."""
        await self._client.ensure_pipeline(self._mode)
        held = await StateReader(self._client, self._desired).read()
        before = [key for key in self._mirror if key in self._desired]
        self._mirror.replace(held)
        lost = [key for key in before if key not in self._mirror]
        self._failures.clear()
        self._marked |= self._desired.keys() | self._unwanted
        if self._complete:
            self._marked.update(self._mirror)
        self._marked = {key for key in self._marked if decide(key, self._desired.get(key), self._mirror)}
        self.stats.synchronizations += 1
        log.info("%s: holds %d entities, %d differ", self._client.target, len(held), len(self._marked))
        if lost:
            log.warning("%s: has lost %d entities", self._client.target, len(lost))
            if self.on_lost is not None:
                self.on_lost()

    async def _write_marked(self, term: int) -> None:
        """Write what is marked, for as long as this controller stays primary."""
        stream = self._client.stream
        while stream.state is StreamState.PRIMARY and stream.term == term:
            if self._marked:
                await self._cycle()
                continue
            self._wake.clear()
            if not self._failures.waiting(Remedy.TIME):
                self._pauses = self._backoff.pauses()
                self._quiet.set()
                await self._wake.wait()
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), next(self._pauses))
                self._marked |= self._failures.waiting(Remedy.TIME)

    async def _cycle(self) -> None:
        """Write what is marked now, stage by stage."""
        keys, self._marked = self._marked, set()
        done: list[Step] = []
        for stage in plan(keys, self._desired, self._mirror, self._room):
            for start in range(0, len(stage.keys), self._batch):
                steps = self._steps(stage, stage.keys[start : start + self._batch])
                if steps:
                    self.stats.batches += 1
                    for outcome in await write_steps(self._client, steps):
                        self._record(outcome)
                        if outcome.succeeded:
                            done.append(outcome.step)
        self._marked |= self._failures.remedied(done, self._mirror.__contains__)

    def _steps(self, stage: Stage, keys: Iterable[bytes]) -> list[Step]:
        """The updates of `keys` as things are by now; what no longer fits the stage is marked again."""
        steps = []
        for key in keys:
            step = decide(key, self._desired.get(key), self._mirror)
            if step is None:
                self._failures.settle(key)
            elif step.removal is not stage.removal:
                self._marked.add(key)
            elif missing := [ref for ref in step.entity.refs if not step.removal and ref not in self._mirror]:
                reason = f"refers to {self._codec.describe(missing[0])}, which is not on the switch"
                self._fail(step, StatusCode.FAILED_PRECONDITION, reason, Remedy.REFERENCE)
            else:
                steps.append(step)
        return steps

    def _record(self, outcome: Outcome) -> None:
        step, entity = outcome.step, outcome.step.entity
        if not outcome.succeeded:
            if leaves_doubt(outcome):
                self._mirror.doubt(entity)
            self._fail(step, outcome.code, outcome.reason, remedy(outcome))
            return
        if step.removal:
            self._mirror.remove(entity.key)
        else:
            self._mirror.put(entity)
        self._failures.settle(entity.key)
        if step.kind == INSERT:
            self.stats.inserted += 1
        elif step.kind == DELETE:
            self.stats.deleted += 1
        else:
            self.stats.modified += 1

    def _fail(self, step: Step, code: StatusCode, reason: str, remedy: Remedy) -> None:
        self.stats.failed += 1
        failure = Failure(self._codec.decode_bytes(step.wire), step.removal, code, reason, remedy)
        self._failures.record(failure, step.entity)
        log.warning("%s: %s", self._client.target, failure)
        if self._on_failure is not None:
            try:
                self._on_failure(failure)
            except Exception:
                log.exception("%s: on_failure failed", self._client.target)
