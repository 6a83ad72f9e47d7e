"""The fuzzer of one target: `python -m fuzz.inside TARGET [libFuzzer's options] CORPUS...`; FILE replays one input.

Only our own modules are instrumented: what is explored is their branches, not those of the libraries.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["accelerator", "controller"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()
