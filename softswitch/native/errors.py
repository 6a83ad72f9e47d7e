"""What the native engine refuses."""

from __future__ import annotations


class UntranslatableError(Exception):
    """A construct that the native engine cannot run; the text names it. The reference engine can."""
