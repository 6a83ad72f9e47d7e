"""Calls of actions, and what else a table entry may do."""

from __future__ import annotations

from p4.v1 import p4runtime_pb2

from controller.p4rt.actions import Action, ActionSet, GroupRef, MemberRef, TableAction, WeightedAction
from controller.p4rt.codec.fields import decode_value, encode_value
from controller.p4rt.errors import DecodingError, EncodingError, UnknownNameError
from controller.p4rt.names import Index
from controller.p4rt.p4info import Action as ActionInfo
from controller.p4rt.p4info import ActionRef, P4Info, Table
from controller.p4rt.values import Value


def encode_call(message: p4runtime_pb2.Action, info: ActionInfo, action: Action) -> None:
    """Fill `message`; raises EncodingError or UnknownNameError naming action, parameter and value."""
    message.action_id = info.id
    params = action.params
    for param in info.params:
        if param.name not in params:
            raise EncodingError(f"{info.name}: parameter {param.name!r} is missing")
        encoded = message.params.add()
        encoded.param_id = param.id
        encoded.value = encode_value(param, params[param.name])
    if len(params) != len(info.params):
        extra = next(name for name in params if name not in {param.name for param in info.params})
        raise UnknownNameError("parameter", extra, (param.name for param in info.params), info.name)


def decode_call(message: p4runtime_pb2.Action, actions: Index[ActionInfo]) -> Action:
    """The call that `message` describes; raises DecodingError for unknown ids and missing parameters."""
    info = actions.by_id(message.action_id)
    values: dict[str, Value] = {}
    for param in message.params:
        field = info.params.by_id(param.param_id)
        values[field.name] = decode_value(field, param.value)
    if len(values) != len(info.params):
        raise DecodingError(f"{info.name}: {len(values)} of {len(info.params)} parameters are there")
    return Action(info.name, values)


def encode_watch(port: int | None) -> bytes:
    """A watch port as octets; none at all if there is none to watch."""
    return b"" if port is None else port.to_bytes((port.bit_length() + 7) // 8 or 1, "big")


def decode_watch(message: p4runtime_pb2.ActionProfileAction | p4runtime_pb2.ActionProfileGroup.Member) -> int | None:
    """The watch port, in either of its encodings; the older, numeric one has 0 for none."""
    if message.WhichOneof("watch_kind") == "watch":
        return message.watch or None
    return int.from_bytes(message.watch_port, "big") if message.watch_port else None


class TableActions:
    """What the entries of one table may do."""

    def __init__(self, info: P4Info, table: Table) -> None:
        self._table = table
        self._all = info.actions

    def encode(self, message: p4runtime_pb2.TableAction, action: TableAction, as_default: bool) -> None:
        """Fill `message`; raises EncodingError or UnknownNameError if the table cannot do `action`."""
        profile = self._table.profile
        if isinstance(action, Action):
            if profile is not None:
                raise EncodingError(f"{action}: the table refers to members of {profile.name}, not to actions")
            encode_call(message.action, self._permitted(action, as_default).action, action)
            return
        if profile is None:
            raise EncodingError(f"{action}: the table has no action profile")
        if as_default:
            raise EncodingError(f"{action}: the default action of a table with an action profile is fixed")
        if isinstance(action, MemberRef):
            message.action_profile_member_id = action.member_id
        elif not profile.with_selector:
            raise EncodingError(f"{action}: {profile.name} is an action profile without a selector")
        elif isinstance(action, GroupRef):
            message.action_profile_group_id = action.group_id
        else:
            self._encode_set(message.action_profile_action_set, action)

    def _encode_set(self, message: p4runtime_pb2.ActionProfileActionSet, actions: ActionSet) -> None:
        if not actions.actions:
            raise EncodingError("an empty action set cannot be told from none")
        for choice in actions.actions:
            if choice.weight < 1:
                raise EncodingError(f"{choice}: the weight is not at least 1")
            encoded = message.action_profile_actions.add()
            encode_call(encoded.action, self._permitted(choice.action, False).action, choice.action)
            encoded.weight = choice.weight
            if choice.watch_port is not None:
                encoded.watch_port = encode_watch(choice.watch_port)

    def _permitted(self, action: Action, as_default: bool) -> ActionRef:
        ref = self._table.actions[action.name]
        if not (ref.as_default if as_default else ref.in_entries):
            role = "default action" if as_default else "action of an entry"
            raise EncodingError(f"{action}: the program does not allow it as {role}")
        return ref

    def decode(self, message: p4runtime_pb2.TableAction) -> TableAction | None:
        """What `message` describes; None if it is empty."""
        match message.WhichOneof("type"):
            case "action":
                return decode_call(message.action, self._all)
            case "action_profile_member_id":
                return MemberRef(message.action_profile_member_id)
            case "action_profile_group_id":
                return GroupRef(message.action_profile_group_id)
            case "action_profile_action_set":
                choices = message.action_profile_action_set.action_profile_actions
                return ActionSet(
                    WeightedAction(decode_call(c.action, self._all), c.weight, decode_watch(c)) for c in choices
                )
        return None
