"""All targets by name, and where their corpora are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fuzz.decoders import DECODERS, Target
from fuzz.machines import MACHINES

TARGETS: Final[dict[str, Target]] = {**DECODERS, **MACHINES}
CORPUS: Final = Path(__file__).parent / "corpus"


def corpus_of(name: str) -> list[Path]:
    """The committed inputs of a target, in the order of their names."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
