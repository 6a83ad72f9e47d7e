"""A process that answers many must not stop to look for garbage in what it keeps.

Python's full collections visit everything that is alive: some 700 ms at 20 000 registrations, while datagrams wait.
But what a mapping system keeps is freed by reference counts; a test sees to it that its work leaves no cycles. So
what survives the young generations is set aside for good, and full collections have nothing to visit. A cycle that
had become garbage only after that would stay until the process ends.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any, Final

_MIDDLE_GENERATION: Final = 1


def avoid_long_pauses() -> None:
    """From now on no collection of this process visits what has lived for long."""
    set_aside()
    if _set_survivors_aside not in gc.callbacks:
        gc.callbacks.append(_set_survivors_aside)


@contextlib.contextmanager
def none_while_building() -> Iterator[None]:
    """While much is made that stays, no collection visits it again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def set_aside() -> None:
    """What there is now stays: no later collection visits it, all of them visit what comes after it."""
    gc.collect()
    gc.freeze()


def _set_survivors_aside(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] == _MIDDLE_GENERATION:
        gc.freeze()
