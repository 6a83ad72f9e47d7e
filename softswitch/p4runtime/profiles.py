"""Action profile members and groups (specification section "ActionProfileMember & ActionProfileGroup")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from p4.v1 import p4runtime_pb2 as p4rt

from softswitch.p4runtime.action import decode_action, encode_action
from softswitch.p4runtime.errors import invalid_argument, resource_exhausted
from softswitch.p4runtime.notes import FIRST_INTERNAL_ID, put
from softswitch.p4runtime.pipeline import Pipeline
from softswitch.p4runtime.ports import copy_watch, watch_port
from softswitch.p4runtime.schema import Profile, look_up
from softswitch.p4runtime.undo import UndoLog
from softswitch.state import ActionProfile, GroupMember

Update = p4rt.Update


def write_member(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, member: p4rt.ActionProfileMember) -> None:
    """Applies one update of a member.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    profile = look_up(pipeline.schema.profiles, member.action_profile_id, "action profile")
    state = pipeline.state.action_profile(profile.name)
    member_id = member.member_id
    where = f"member {member_id} of action profile {profile.name}"
    if member_id == 0:
        raise invalid_argument(f"action profile {profile.name}: 0 is not a valid member id")
    if kind == Update.DELETE:
        old = state.get_member(member_id).call
        state.delete_member(member_id)
        undo.push(lambda: state.add_member(member_id, old))
        return
    if not member.HasField("action"):
        raise invalid_argument(f"{where}: the action is not set")
    call = decode_action(profile.actions, member.action, where)
    if kind == Update.INSERT:
        refuse_mixture(profile, state, one_shot=False)
        in_use = sum(1 for _ in state.members())
        state.add_member(member_id, call)
        undo.push(lambda: state.delete_member(member_id))
        if not profile.with_selector and profile.size and in_use >= profile.size:
            raise resource_exhausted(f"action profile {profile.name}: all {profile.size} members are in use")
    else:
        old = state.get_member(member_id).call
        state.modify_member(member_id, call)
        undo.push(lambda: state.modify_member(member_id, old))


def read_members(pipeline: Pipeline, wanted: p4rt.ActionProfileMember) -> Iterator[p4rt.Entity]:
    """The members that a request asks for; id 0 asks for all, and one that is not there yields nothing.

    Raises:
        P4RuntimeError: the request is refused.
    """
    for profile in _wanted_profiles(pipeline, wanted.action_profile_id, wanted.member_id):
        state = pipeline.state.action_profile(profile.name)
        for member in state.members():
            if member.id < FIRST_INTERNAL_ID and wanted.member_id in (0, member.id):
                action = encode_action(pipeline.schema.actions, member.call)
                message = p4rt.ActionProfileMember(action_profile_id=profile.id, member_id=member.id, action=action)
                yield p4rt.Entity(action_profile_member=message)


def write_group(pipeline: Pipeline, undo: UndoLog, kind: Update.Type, group: p4rt.ActionProfileGroup) -> None:
    """Applies one update of a group.

    Raises:
        P4RuntimeError, StateError: the update is refused.
    """
    profile = look_up(pipeline.schema.profiles, group.action_profile_id, "action profile")
    state = pipeline.state.action_profile(profile.name)
    notes = pipeline.notes.groups
    group_id, key = group.group_id, (profile.name, group.group_id)
    where = f"group {group_id} of action selector {profile.name}"
    if not profile.with_selector:
        raise invalid_argument(f"action profile {profile.name} has no selector, so it has no groups")
    if group_id == 0:
        raise invalid_argument(f"action selector {profile.name}: 0 is not a valid group id")
    if kind == Update.DELETE:
        old = list(state.get_group(group_id).members.values())
        state.delete_group(group_id)
        undo.push(lambda: create_group(state, group_id, old))
        account(pipeline, undo, profile, old, [])
        put(notes, key, None, undo)
        return
    if kind == Update.INSERT:
        refuse_mixture(profile, state, one_shot=False)
        if group.max_size < 0 or 0 < profile.max_group_size < group.max_size:
            limit = profile.max_group_size or "any positive number"
            raise invalid_argument(f"{where}: max_size {group.max_size} does not fit max_group_size {limit}")
    elif group.max_size != (notes[key].max_size if key in notes else state.get_group(group_id).max_size):
        raise invalid_argument(f"{where}: max_size is {notes[key].max_size} and cannot be modified")
    canonical = p4rt.ActionProfileGroup(action_profile_id=profile.id, group_id=group_id, max_size=group.max_size)
    shares = []
    for member in group.members:
        watched = watch_port(member, where)
        shares.append(GroupMember(member.member_id, share_weight(profile, member.weight, where), watched))
        copy = canonical.members.add(member_id=member.member_id, weight=member.weight)
        copy_watch(member, watched, copy)
    if kind == Update.INSERT:
        state.create_group(group_id)
        undo.push(lambda: state.delete_group(group_id))
    before = list(state.get_group(group_id).members.values())
    state.set_members(group_id, shares)
    undo.push(lambda: state.set_members(group_id, before))
    account(pipeline, undo, profile, before, shares)
    used, limit = _size(profile, shares), group.max_size or profile.max_group_size
    if limit and used > limit:
        raise resource_exhausted(f"{where}: its size would be {used}, at most {limit} are allowed")
    put(notes, key, canonical, undo)


def read_groups(pipeline: Pipeline, wanted: p4rt.ActionProfileGroup) -> Iterator[p4rt.Entity]:
    """The groups that a request asks for; id 0 asks for all, and one that is not there yields nothing.

    Raises:
        P4RuntimeError: the request is refused.
    """
    for profile in _wanted_profiles(pipeline, wanted.action_profile_id, wanted.group_id):
        for (name, group_id), group in pipeline.notes.groups.items():
            if name == profile.name and wanted.group_id in (0, group_id):
                yield p4rt.Entity(action_profile_group=group)


def create_group(state: ActionProfile, group_id: int, shares: list[GroupMember]) -> None:
    """A group with members; all or nothing.

    Raises:
        StateError: the group exists or a member does not.
    """
    state.create_group(group_id)
    try:
        state.set_members(group_id, shares)
    except Exception:
        state.delete_group(group_id)
        raise


def share_weight(profile: Profile, weight: int, where: str) -> int:
    """The weight of a member in the data plane: the client's or, where the P4Info disallows weights, 1.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT, naming `where` and the weight, if the P4Info does not allow it.
    """
    if profile.weights_disallowed:
        if weight:
            raise invalid_argument(f"{where}: the weight {weight} is set, and weights are disallowed")
        return 1
    if weight < 1:
        raise invalid_argument(f"{where}: the weight {weight} is not positive")
    if 0 < profile.max_member_weight < weight:
        raise invalid_argument(
            f"{where}: the weight {weight} is larger than max_member_weight {profile.max_member_weight}"
        )
    return weight


def account(
    pipeline: Pipeline, undo: UndoLog, profile: Profile, before: Sequence[GroupMember], after: Sequence[GroupMember]
) -> None:
    """Keeps the books of what a selector's groups need together, as a group changes.

    Raises:
        P4RuntimeError: RESOURCE_EXHAUSTED if they would need more than the P4Info's size.
    """
    sizes = pipeline.notes.group_sizes
    growth = _size(profile, after) - _size(profile, before)
    total = sizes.get(profile.name, 0) + growth
    if growth > 0 and 0 < profile.size < total:
        raise resource_exhausted(
            f"action selector {profile.name}: its groups would need {total}, its size is {profile.size}"
        )
    put(sizes, profile.name, total, undo)


def refuse_mixture(profile: Profile, state: ActionProfile, *, one_shot: bool) -> None:
    """A selector is programmed either with one-shots or with members and groups.

    Raises:
        P4RuntimeError: INVALID_ARGUMENT if the other style is in use.
    """
    # Whatever is there is all of one style, so the first member and the first group tell.
    ids = [member.id for member in islice(state.members(), 1)] + [group.id for group in islice(state.groups(), 1)]
    if any((used < FIRST_INTERNAL_ID) == one_shot for used in ids):
        other, this = ("members and groups", "a one-shot") if one_shot else ("one-shots", "members and groups")
        raise invalid_argument(f"action selector {profile.name} is programmed with {other}, not with {this}")


def _size(profile: Profile, shares: Sequence[GroupMember]) -> int:
    return len(shares) if profile.sum_of_members else sum(share.weight for share in shares)


def _wanted_profiles(pipeline: Pipeline, profile_id: int, object_id: int) -> list[Profile]:
    if profile_id:
        return [look_up(pipeline.schema.profiles, profile_id, "action profile")]
    if object_id:
        raise invalid_argument(f"the id {object_id} needs an action_profile_id with it")
    return list(pipeline.schema.profiles.values())
