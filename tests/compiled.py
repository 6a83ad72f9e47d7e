"""Both forms of what can be compiled, side by side: which there are here, and how tests come by each."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

import pytest

PARTS: Final = ("controller.lisp._hmac", "controller.mapping._refresh", "controller.app._udp_batch")


def compiled_part(name: str) -> ModuleType | None:
    """The compiled module, whatever the environment says; None where it is not compiled."""
    try:
        return import_module(name)
    except ImportError:
        return None


_MISSING: Final = [part for part in PARTS if compiled_part(part) is None]
needs_compiled: Final = pytest.mark.skipif(
    bool(_MISSING), reason=f"NOT RUN: not compiled here, for want of a C compiler or of Python.h: {', '.join(_MISSING)}"
)
FORMS: Final = ("Python", pytest.param("compiled", marks=needs_compiled))
