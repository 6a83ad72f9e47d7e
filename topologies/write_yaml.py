"""Writes the sections of a topology as a file that people like to read: one line for each thing, and why it is so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import yaml

_ENDLESS: Final = 10**9

_COMMENTS: Final = {
    "pods": "A laboratory's keys stand in the file; a deployment names secret_env or secret_file instead.",
}


def topology_text(sections: Mapping[str, object], heading: str) -> str:
    """The file. `heading`: what it is, as comment lines at its beginning."""
    parts = ["".join(f"# {line}\n" for line in heading.splitlines())]
    for name, value in sections.items():
        comment = f"# {_COMMENTS[name]}\n" if name in _COMMENTS else ""
        parts.append(("" if name == "name" else "\n") + comment + _section(name, value))
    return "".join(parts)


def _section(name: str, value: object) -> str:
    if not isinstance(value, list):
        return f"{name}: {_flow(value)}\n"
    if not value:
        return f"{name}: []\n"
    rows = (_pod(one) if name == "pods" else f"  - {_flow(one)}\n" for one in value)
    return f"{name}:\n" + "".join(rows)


def _pod(pod: Mapping[str, object]) -> str:
    """A PoD is too long for one line: one for each of its fields, and for each of its subnets."""
    lines = []
    for field, value in pod.items():
        if isinstance(value, list):
            lines.append(f"{field}:")
            lines += [f"  - {_flow(one)}" for one in value]
        else:
            lines.append(f"{field}: {_flow(value)}")
    return "".join(f"  {'  ' if number else '- '}{line}\n" for number, line in enumerate(lines))


def _flow(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_ENDLESS, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
