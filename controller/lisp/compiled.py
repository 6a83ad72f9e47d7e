"""The parts of the control plane that are compiled where there was a C compiler when it was installed.

Each is one function or a few beside the Python that does the same: that is the reference, is used where there is no
such part, and a test compares the two. `LISPFABRIC_COMPILED=0` in the environment leaves all of them aside.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Final

VARIABLE: Final = "LISPFABRIC_COMPILED"


def compiled(name: str) -> ModuleType | None:
    """The compiled module of that name; None if there is none here, or none is wanted."""
    if os.environ.get(VARIABLE, "1") == "0":
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
