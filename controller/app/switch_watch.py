"""Notices that a switch has fallen silent, obeys again, or has come back empty."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from controller.app.cell_clearing import cleared
from controller.app.switch_control import SwitchControl
from controller.p4rt.errors import P4RuntimeError
from controller.p4rt.stream import StreamState

log = logging.getLogger(__name__)

# Seconds without a connection after which a switch counts as failed; one that is only slow is back before.
SILENCE = 3.0
# Seconds between questions to a switch that is at work, and that it may take to answer.
QUESTION_EVERY = 3.0
QUESTION_TIMEOUT = 10.0
# Seconds between looks whether a switch that has failed works again.
_PATIENCE = 0.5


class SwitchWatch:
    """Watches one switch.

    A switch is silent when there has been no connection to it for `SILENCE`, or when it does not answer a question.
    """

    def __init__(
        self,
        name: str,
        control: SwitchControl,
        at_work: Callable[[str], bool],
        on_status: Callable[[str, bool], None],
        on_emptied: Callable[[str], None],
    ) -> None:
        """`at_work`: whether anything depends on the switch, so that it has to be asked.

        `on_status` is told when it fails and when it works again; `on_emptied` when it has lost its entries, be it that
        it was started anew.
        """
        self._name = name
        self._control = control
        self._at_work = at_work
        self._on_status = on_status
        self._connected = asyncio.Event()
        self._parted = asyncio.Event()
        self._stop_listening = control.client.stream.on_state(self._state)
        control.writer.on_lost = lambda: on_emptied(name)
        self._failed = asyncio.Event()
        self._state(control.client.stream.state)
        self._task = asyncio.create_task(self._run(), name=f"{name} is watched")

    def stop(self) -> None:
        """Nothing is noticed any more."""
        self._stop_listening()
        self._control.writer.on_lost = None
        self._task.cancel()

    def fail(self) -> None:
        """Somebody else has noticed that it does not work; it is looked at until it does."""
        self._failed.set()

    def _state(self, state: StreamState) -> None:
        here, there = self._connected, self._parted
        if state is not StreamState.PRIMARY:
            here, there = there, here
        here.set()
        there.clear()

    async def _run(self) -> None:
        while True:
            reason = await self._fault()
            log.warning("%s: %s", self._name, reason)
            self._on_status(self._name, False)
            await self._works()
            self._failed.clear()
            log.info("%s: obeys again", self._name)
            self._on_status(self._name, True)

    async def _fault(self) -> str:
        """Returns, with what is wrong, when the switch has failed."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._either(), QUESTION_EVERY)
            if self._failed.is_set():
                return "does not carry out what it is ordered"
            if self._parted.is_set():
                try:
                    await asyncio.wait_for(self._connected.wait(), SILENCE)
                except TimeoutError:
                    return f"there has been no connection to it for {SILENCE:g} s"
            elif self._at_work(self._name) and not await self._answers():
                return f"does not answer within {QUESTION_TIMEOUT:g} s"

    async def _either(self) -> None:
        waiting = [asyncio.create_task(one.wait()) for one in (self._failed, self._parted)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _answers(self) -> bool:
        """A connection that ends meanwhile is no answer that fails to come: its end has its own time."""
        try:
            async with asyncio.timeout(QUESTION_TIMEOUT):
                await cleared(self._control)
        except TimeoutError:
            return False
        except P4RuntimeError as error:
            log.info("%s: %s", self._name, error)
        return True

    async def _works(self) -> None:
        """Returns when the switch has what it shall have, and answers."""
        while True:
            await asyncio.sleep(_PATIENCE)
            with contextlib.suppress(P4RuntimeError, TimeoutError):
                async with asyncio.timeout(QUESTION_TIMEOUT):
                    await self._control.settled()
                    await cleared(self._control)
                    return
