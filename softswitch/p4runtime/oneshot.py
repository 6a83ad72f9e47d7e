"""One-shot action selector programming (specification section "One Shot Action Selector Programming").

A one-shot becomes a group and members with ids that no client can name; reads return the client's action set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.action import decode_action, encode_action
from softswitch.p4runtime.errors import invalid_argument, unimplemented
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.ports import copy_watch, watch_port
from softswitch.p4runtime.profiles import account, create_group, refuse_mixture, share_weight
from softswitch.p4runtime.schema import Profile, Table
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import GroupMember, GroupRef

_ActionSet = p4rt.ActionProfileActionSet
_SIZE_BY_MEMBERS: Final = {_ActionSet.SUM_OF_MEMBERS: True, _ActionSet.SUM_OF_WEIGHTS: False}


def create(
    pipeline: Pipeline, undo: UndoLog, table: Table, action_set: p4rt.ActionProfileActionSet
) -> tuple[GroupRef, p4rt.ActionProfileActionSet]:
    """Makes group and members of a one-shot; returns the group and the action set in canonical form.

    Raises:
        P4RuntimeError, StateError: the action set is refused.
    """
    where = f"table {table.name}: action_profile_action_set"
    profile = table.profile
    if profile is None or not profile.with_selector:
        raise invalid_argument(f"{where}: the table is not implemented with an action selector")
    state = pipeline.state.action_profile(profile.name)
    refuse_mixture(profile, state, one_shot=True)
    if action_set.action_selection_mode == _ActionSet.RANDOM:
        raise unimplemented(f"{where}: action_selection_mode RANDOM; v1model selectors hash")
    canonical = p4rt.ActionProfileActionSet(
        action_selection_mode=action_set.action_selection_mode, size_semantics=action_set.size_semantics
    )
    calls, shares = [], []
    for action in action_set.action_profile_actions:
        call = decode_action(profile.actions, action.action, where)
        watched = watch_port(action, where)
        calls.append(call)
        weight = share_weight(profile, action.weight, where)
        shares.append(GroupMember(pipeline.notes.internal_id(), weight, watched))
        copy = canonical.action_profile_actions.add(
            action=encode_action(pipeline.schema.actions, call), weight=action.weight
        )
        copy_watch(action, watched, copy)
    _check_group_size(profile, action_set, shares, where)
    for share, call in zip(shares, calls, strict=True):
        # As in PI the slots of one action are neighbours, so that a hash picks the action it picks on bmv2.
        state.add_member(share.member, call, share.weight)
        undo.push(lambda member_id=share.member: state.delete_member(member_id))  # type: ignore[misc]
    group_id = pipeline.notes.internal_id()
    create_group(state, group_id, shares)
    undo.push(lambda: state.delete_group(group_id))
    account(pipeline, undo, profile, [], shares)
    return GroupRef(group_id), canonical


def destroy(pipeline: Pipeline, undo: UndoLog, profile: Profile, group: GroupRef) -> None:
    """Deletes the group and members of a one-shot that no entry refers to any more."""
    state = pipeline.state.action_profile(profile.name)
    shares = list(state.get_group(group.id).members.values())
    state.delete_group(group.id)
    undo.push(lambda: create_group(state, group.id, shares))
    account(pipeline, undo, profile, shares, [])
    for share in reversed(shares):  # so that undoing adds them in their order, on which a hash's choice depends
        call = state.get_member(share.member).call
        state.delete_member(share.member)
        undo.push(lambda share=share, call=call: state.add_member(share.member, call, share.weight))  # type: ignore[misc]


def _check_group_size(
    profile: Profile, action_set: p4rt.ActionProfileActionSet, shares: Sequence[GroupMember], where: str
) -> None:
    by_members = _SIZE_BY_MEMBERS.get(action_set.size_semantics, profile.sum_of_members)
    size = len(shares) if by_members else sum(share.weight for share in shares)
    if 0 < profile.max_group_size < size:
        raise invalid_argument(f"{where}: its size is {size}, larger than max_group_size {profile.max_group_size}")
