"""Members and groups of action profiles."""

from __future__ import annotations

from p4.v1 import p4runtime_pb2

from controller.p4rt.codec.calls import decode_call, decode_watch, encode_call, encode_watch
from controller.p4rt.codec.encoded import Encoded, Rank
from controller.p4rt.entities import ActionProfileGroup, ActionProfileMember, GroupMember
from controller.p4rt.errors import EncodingError
from controller.p4rt.p4info import ActionProfile, P4Info


def member_key(profile_id: int, member_id: int) -> bytes:
    """The `Encoded.key` of a member."""
    member = p4runtime_pb2.ActionProfileMember(action_profile_id=profile_id, member_id=member_id)
    return p4runtime_pb2.Entity(action_profile_member=member).SerializeToString()


def group_key(profile_id: int, group_id: int) -> bytes:
    """The `Encoded.key` of a group."""
    group = p4runtime_pb2.ActionProfileGroup(action_profile_id=profile_id, group_id=group_id)
    return p4runtime_pb2.Entity(action_profile_group=group).SerializeToString()


class ProfileCodec:
    """The members and groups of one action profile."""

    def __init__(self, info: P4Info, profile: ActionProfile) -> None:
        self.profile = profile
        self._all = info.actions
        tables = [info.tables.by_id(table_id) for table_id in profile.table_ids]
        self._permitted = {ref.id for table in tables for ref in table.actions}

    def encode_member(self, member: ActionProfileMember) -> Encoded:
        """A member; raises EncodingError or UnknownNameError naming what does not fit."""
        if member.member_id < 1:
            raise EncodingError(f"member_id = {member.member_id}: is not at least 1")
        if member.action is None:
            raise EncodingError("there is no action")
        info = self._all[member.action.name]
        if info.id not in self._permitted:
            raise EncodingError(f"{member.action}: no table of the profile has this action")
        entity = p4runtime_pb2.Entity()
        message = entity.action_profile_member
        message.action_profile_id, message.member_id = self.profile.id, member.member_id
        key = entity.SerializeToString()
        encode_call(message.action, info, member.action)
        return Encoded(key, entity.SerializeToString(), Rank.MEMBER, scope=self.profile.id)

    def decode_member(self, message: p4runtime_pb2.ActionProfileMember) -> ActionProfileMember:
        """The member under its full names; raises DecodingError for unknown ids."""
        action = decode_call(message.action, self._all) if message.HasField("action") else None
        return ActionProfileMember(self.profile.name, message.member_id, action)

    def encode_group(self, group: ActionProfileGroup) -> Encoded:
        """A group; raises EncodingError naming what does not fit."""
        if not self.profile.with_selector:
            raise EncodingError("the action profile has no selector")
        if group.group_id < 1:
            raise EncodingError(f"group_id = {group.group_id}: is not at least 1")
        entity = p4runtime_pb2.Entity()
        message = entity.action_profile_group
        message.action_profile_id, message.group_id = self.profile.id, group.group_id
        key = entity.SerializeToString()
        # "Rules on Setting max_size": where the program has a limit, it may not be left open
        message.max_size = group.max_size or self.profile.max_group_size
        last = 0
        for member in group.members:
            if member.weight < 1:
                raise EncodingError(f"member {member.member_id}: weight = {member.weight}: is not at least 1")
            if member.member_id <= last:
                raise EncodingError(f"member {member.member_id}: is no id, or given twice; use weights for that")
            last = member.member_id
            encoded = message.members.add(member_id=member.member_id, weight=member.weight)
            if member.watch_port is not None:
                encoded.watch_port = encode_watch(member.watch_port)
        refs = tuple(member_key(self.profile.id, member.member_id) for member in group.members)
        return Encoded(key, entity.SerializeToString(), Rank.GROUP, scope=self.profile.id, refs=refs)

    def decode_group(self, message: p4runtime_pb2.ActionProfileGroup) -> ActionProfileGroup:
        """The group under its profile's full name."""
        members = (GroupMember(m.member_id, m.weight, decode_watch(m)) for m in message.members)
        open_size = message.max_size == self.profile.max_group_size
        return ActionProfileGroup(self.profile.name, message.group_id, members, 0 if open_size else message.max_size)
