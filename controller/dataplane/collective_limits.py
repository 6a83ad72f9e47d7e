"""What a program can do for collectives, as its P4Info tells it (p4src/stages/collective_group.p4).

Programs differ: a set of children has 64 bits on bmv2 and 31 on Tofino, and a packet 64 values or 32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.dataplane.codepoints import ProgramMismatchError
from controller.p4rt.p4info import P4Info

TABLE = "collective"
ANNOTATION = "incc"


@dataclass(frozen=True, slots=True)
class CollectiveLimits:
    """`children` of a switch in one group; `slots` of a switch, for all groups; 32-bit `values` in a packet.

    `ipv6`: whether groups may have IPv6 EIDs.
    """

    children: int
    slots: int
    values: int
    ipv6: bool = False


NONE = CollectiveLimits(0, 0, 0)
"""Of a program without collectives."""


def collective_limits(info: P4Info) -> CollectiveLimits:
    """The limits of a program; NONE if it has no collectives.

    Children are as many as the parameter `everyone` has bits; the others are in the annotation of the table.
    Raises ProgramMismatchError naming what the P4Info does not say.
    """
    if TABLE not in info.tables:
        return NONE
    preamble = next(table.preamble for table in info.proto.tables if table.preamble.id == info.tables[TABLE].id)
    found = {
        pair.key: pair.value.int64_value
        for annotation in preamble.structured_annotations
        if annotation.name == ANNOTATION
        for pair in annotation.kv_pair_list.kv_pairs
    }
    for key in ("slots", "values"):
        if found.get(key, 0) < 1:
            raise ProgramMismatchError(
                f"{info.source}: table {preamble.name}: @{ANNOTATION}[{key}=...] = {found.get(key)}, must be at least 1"
            )
    if found.get("ipv6") not in (0, 1):
        raise ProgramMismatchError(
            f"{info.source}: table {preamble.name}: @{ANNOTATION}[ipv6=...] = {found.get('ipv6')}, must be 0 or 1"
        )
    everyone = info.tables[TABLE].actions["collective_root"].action.params["everyone"]
    return CollectiveLimits(everyone.width, found["slots"], found["values"], bool(found["ipv6"]))


def common_values(limits: Mapping[str, CollectiveLimits]) -> int:
    """Values in a packet, one number for all switches that have collectives; 0 if none has.

    `limits`: by switch. Raises ProgramMismatchError naming two that differ.
    """
    first = ""
    for switch, one in limits.items():
        if one.values and first and one.values != limits[first].values:
            raise ProgramMismatchError(
                f"switches {first} and {switch}: their programs have {limits[first].values} and {one.values} values "
                "in a packet of a collective; must be the same"
            )
        first = first or (switch if one.values else "")
    return limits[first].values if first else 0
