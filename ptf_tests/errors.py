"""What can keep the suite from running at all."""

from __future__ import annotations


class SetupError(Exception):
    """Something that the suite needs is missing on this machine; one line says what."""
