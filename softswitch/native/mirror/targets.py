"""What an entry leads to, in memory: the number of an action and the address of its parameters."""

from __future__ import annotations

from collections.abc import Mapping

from softswitch.native.layout import storage_bits
from softswitch.native.objects import ParameterForm, parameter_form
from softswitch.native.runtime.structs import NO_ACTION, OF_GROUP, OF_MEMBER
from softswitch.program.actions import ActionDef
from softswitch.state import ActionCall, GroupRef, MemberRef, Target


class Calls:
    """The actions that a table or profile may call."""

    def __init__(self, actions: Mapping[str, ActionDef], numbers: Mapping[ActionDef, int]) -> None:
        self._actions = {name: (numbers[action], action, parameter_form(action)) for name, action in actions.items()}
        self.octets = max((form.size for _, _, form in self._actions.values()), default=0)

    def encode(self, call: ActionCall) -> tuple[int, bytes]:
        """The number of the action, and the octets of its parameters."""
        number, action, form = self._actions[call.name]
        return number, _parameters(action, form, call.params)


def _parameters(action: ActionDef, form: ParameterForm, values: tuple[int, ...]) -> bytes:
    octets = bytearray(form.size)
    for param, offset, value in zip(action.params, form.offsets, values, strict=True):
        size = storage_bits(max(param.width, 1)) // 8
        octets[offset : offset + size] = value.to_bytes(size, "little")
    return bytes(octets)


def reference(target: Target | None, members: Mapping[int, int], groups: Mapping[int, int]) -> tuple[int, int]:
    """The two words of a target that is not a call."""
    match target:
        case MemberRef(id):
            return OF_MEMBER, members[id]
        case GroupRef(id):
            return OF_GROUP, groups[id]
        case _:
            return NO_ACTION, 0
