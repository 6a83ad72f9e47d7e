"""Action calls of table entries and action profile members (specification section "Action Specification")."""

from __future__ import annotations

from collections.abc import Mapping

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.errors import invalid_argument
from softswitch.p4runtime.schema import Action
from softswitch.state import ActionCall


def decode_action(allowed: Mapping[int, Action], action: p4rt.Action, where: str) -> ActionCall:
    """The call that a message asks for.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT for an action that is not among the allowed ones and for parameters that are
            missing, unknown or given twice; OUT_OF_RANGE for one that is too wide. Each names `where`.
    """
    known = allowed.get(action.action_id)
    if known is None:
        raise invalid_argument(f"{where}: it has no action with id {action.action_id}")
    where = f"{where}: action {known.name}"
    values: dict[int, bytes] = {}
    for param in action.params:
        if param.param_id in values:
            raise invalid_argument(f"{where}: parameter {param.param_id} is given twice")
        values[param.param_id] = param.value
    for extra in values.keys() - {param.id for param in known.params}:
        raise invalid_argument(f"{where}: it has no parameter with id {extra}")
    for param_info in known.params:
        if param_info.id not in values:
            raise invalid_argument(f"{where}: parameter {param_info.name} is missing")
    return ActionCall(
        known.name,
        tuple(p.type.decode(values[p.id], f"{where}: parameter {p.name}") for p in known.params),
    )


def encode_action(actions: Mapping[str, Action], call: ActionCall) -> p4rt.Action:
    """The canonical message of a call; `actions` by name."""
    action = actions[call.name]
    return p4rt.Action(
        action_id=action.id,
        params=[
            p4rt.Action.Param(param_id=param.id, value=param.type.encode(value))
            for param, value in zip(action.params, call.params, strict=True)
        ],
    )
