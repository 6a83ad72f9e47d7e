"""Action profile members, groups and one-shots."""

from __future__ import annotations

import grpc
import pytest
from p4.config.v1 import p4info_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from tests.softswitch.p4runtime.p4 import P4, delete, insert, load, modify
from tests.softswitch.p4runtime.rig import Controller, Rig, canonical, errors

BALANCE = load("balance")
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
IN_USE = grpc.StatusCode.FAILED_PRECONDITION
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED

Share = tuple[int, int] | tuple[int, int, int]
Shot = tuple[int, int] | tuple[int, int, int]


def member(member_id: int, port: int = 1, profile: str = "paths") -> p4rt.Entity:
    return p4rt.Entity(
        action_profile_member=p4rt.ActionProfileMember(
            action_profile_id=BALANCE.id(profile), member_id=member_id, action=BALANCE.action("forward", port)
        )
    )


def group(group_id: int, *shares: Share, max_size: int = 0, profile: str = "paths") -> p4rt.Entity:
    """Shares are member, weight and perhaps watch port."""
    message = p4rt.ActionProfileGroup(action_profile_id=BALANCE.id(profile), group_id=group_id, max_size=max_size)
    for member_id, weight, *watch in shares:
        share = message.members.add(member_id=member_id, weight=weight)
        for port in watch:
            share.watch_port = bytes([port])
    return p4rt.Entity(action_profile_group=message)


def one_shot(*shots: Shot, service: int = 9, table: str = "service", key: str = "service") -> p4rt.TableEntry:
    """Shots are port, weight and perhaps watch port."""
    entry = BALANCE.table_entry(table, {key: service})
    for port, weight, *watch in shots:
        shot = entry.action.action_profile_action_set.action_profile_actions.add(
            action=BALANCE.action("forward", port), weight=weight
        )
        for watched in watch:
            shot.watch_port = bytes([watched])
    return entry


def points_to(service: int, **reference: int) -> p4rt.TableEntry:
    entry = BALANCE.table_entry("service", {"service": service})
    entry.action.MergeFrom(p4rt.TableAction(**reference))  # type: ignore[arg-type]
    return entry


def all_members(profile: str | None = "paths", member_id: int = 0) -> p4rt.Entity:
    profile_id = BALANCE.id(profile) if profile else 0
    return p4rt.Entity(
        action_profile_member=p4rt.ActionProfileMember(action_profile_id=profile_id, member_id=member_id)
    )


def all_groups(profile: str | None = "paths", group_id: int = 0) -> p4rt.Entity:
    profile_id = BALANCE.id(profile) if profile else 0
    return p4rt.Entity(action_profile_group=p4rt.ActionProfileGroup(action_profile_id=profile_id, group_id=group_id))


def ports_used(rig: Rig, service: int = 9, flows: int = 64) -> dict[int, int]:
    """Packets by egress port, when many flows of a service pass."""
    for flow in range(flows):
        rig.switch.inject(0, bytes([flow, service, 0, 0]))
    return {port: count for port in rig.wires if (count := len(rig.sent(port)))}


async def test_members_and_groups_come_back(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    members = [member(1, 1), member(2, 2), member((1 << 32) - 1, 3)]
    other = p4rt.Entity()
    other.CopyFrom(member(1, 1, "uplinks"))
    await controller.write(*[insert(entity) for entity in (*members, other)])
    groups = [group(1, (1, 1), (2, 2, 3), max_size=4), group(2)]
    await controller.write(*[insert(entity) for entity in groups])
    assert await controller.read(all_members()) == members
    assert await controller.read(all_members(None)) == [*members, other]
    assert await controller.read(all_members("paths", 2)) == [members[1]]
    assert await controller.read(all_groups()) == groups
    assert await controller.read(all_groups(None)) == groups
    assert await controller.read(all_groups("paths", 1)) == [groups[0]]
    changed = [modify(member(2, 0)), modify(group(1, (2, 1), max_size=4))]
    await controller.write(*changed)
    assert await controller.read(all_members("paths", 2), all_groups("paths", 1)) == [u.entity for u in changed]


async def test_packets_spread_over_a_group_by_weight_and_leave_out_ports_that_are_down(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(member(1, 1)), insert(member(2, 2)))
    await controller.write(insert(group(1, (1, 1, 1), (2, 3, 2))), insert(points_to(9, action_profile_group_id=1)))
    spread = ports_used(rig)
    assert set(spread) == {1, 2}
    assert spread[2] > spread[1]
    rig.wires[2].is_up = False
    assert set(ports_used(rig)) == {1}
    await controller.write(modify(points_to(9, action_profile_member_id=2)))
    rig.wires[2].is_up = True
    assert set(ports_used(rig)) == {2}


async def refused(controller: Controller, update: p4rt.Update) -> grpc.StatusCode:
    return (await controller.refused(update))[0]


async def test_bad_members(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(member(1)))
    assert await refused(controller, insert(member(1))) == EXISTS
    assert await refused(controller, modify(member(2))) == NOT_FOUND
    assert await refused(controller, delete(member(2))) == NOT_FOUND
    assert await refused(controller, insert(member(0))) == INVALID
    unset, foreign, unknown = member(5), member(5), member(5)
    unset.action_profile_member.ClearField("action")
    assert await refused(controller, insert(unset)) == INVALID
    foreign.action_profile_member.action.CopyFrom(BALANCE.action("set_label", 1))
    assert await refused(controller, insert(foreign)) == INVALID
    unknown.action_profile_member.action_profile_id = 0x11FFFFFF
    assert await refused(controller, insert(unknown)) == NOT_FOUND
    assert await controller.read(all_members(None)) == [member(1)]


async def test_what_is_in_use_cannot_be_deleted(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(member(1)), insert(member(2)), insert(group(1, (1, 1))))
    entries = [points_to(1, action_profile_group_id=1), points_to(2, action_profile_member_id=2)]
    await controller.write(*[insert(entry) for entry in entries])
    for used in (member(1), member(2), group(1)):
        assert await refused(controller, delete(used)) == IN_USE
    await controller.write(*[delete(entry) for entry in entries])
    await controller.write(delete(group(1)), delete(member(1)), delete(member(2)))
    assert await controller.read(all_members(None), all_groups(None)) == []


async def test_bad_groups(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(member(1)), insert(member(2)), insert(group(1, (1, 1), max_size=5)))
    for bad, code in (
        (insert(group(1)), EXISTS),
        (insert(group(0)), INVALID),
        (insert(group(2, (7, 1))), NOT_FOUND),
        (insert(group(2, (1, 0))), INVALID),
        (insert(group(2, (1, -1))), INVALID),
        (insert(group(2, (1, 1), (1, 1))), INVALID),
        (insert(group(2, max_size=7)), INVALID),
        (insert(group(2, max_size=-1)), INVALID),
        (insert(group(2, (1, 3), max_size=2)), FULL),
        (insert(group(2, (1, 7))), FULL),
        (insert(group(2, profile="labels")), INVALID),
        (modify(group(1, (1, 1), max_size=4)), INVALID),
        (modify(group(1, (1, 6), max_size=5)), FULL),
        (modify(group(2)), NOT_FOUND),
        (delete(group(2)), NOT_FOUND),
    ):
        assert await refused(controller, bad) == code, bad
    far = group(2, (1, 1))
    far.action_profile_group.members[0].watch_port = b"\x02\x00"
    assert await refused(controller, insert(far)) == INVALID
    assert await controller.read(all_groups()) == [group(1, (1, 1), max_size=5)]


async def test_all_groups_together_fit_the_size_of_the_selector(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(member(1)), *[insert(group(number, (1, 6))) for number in range(1, 6)])
    assert await refused(controller, insert(group(6, (1, 3)))) == FULL  # 5 * 6 + 3 > 32
    await controller.write(insert(group(6, (1, 2))), modify(group(1, (1, 5))), insert(group(7, (1, 1))))
    assert await refused(controller, modify(group(1, (1, 6)))) == FULL
    await controller.write(delete(group(7)), modify(group(1, (1, 6))))


async def test_an_action_profile_without_selector_has_as_many_members_as_its_size(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    labels = [member(number, 1, "labels") for number in range(1, 6)]
    for entity in labels:
        entity.action_profile_member.action.CopyFrom(BALANCE.action("set_label", 5))
    await controller.write(*[insert(entity) for entity in labels[:4]])
    assert await refused(controller, insert(labels[4])) == FULL
    assert await controller.read(all_members("labels")) == labels[:4]


async def test_bad_references(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    for reference in ({"action_profile_member_id": 3}, {"action_profile_group_id": 3}):
        assert await refused(controller, insert(points_to(1, **reference))) == NOT_FOUND
    direct = BALANCE.table_entry("service", {"service": 1}, BALANCE.action("forward", 1))
    assert await refused(controller, insert(direct)) == INVALID
    label = BALANCE.table_entry("label", {"service": 1})
    label.action.action_profile_group_id = 1
    assert await refused(controller, insert(label)) == INVALID
    default = BALANCE.table_entry("service", None, BALANCE.action("NoAction"))
    default.is_default_action = True
    assert await refused(controller, modify(default)) == INVALID
    default.is_const = True
    wanted = p4rt.TableEntry(table_id=BALANCE.id("service"), is_default_action=True)
    assert await controller.read_tables(wanted) == [default]


async def test_a_one_shot_comes_back_as_it_was_written(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    # The same action twice stays twice.
    entry = one_shot((1, 1), (2, 2, 2), (1, 1))
    await controller.write(insert(entry))
    assert set(ports_used(rig)) == {1, 2}
    wanted = p4rt.TableEntry(table_id=BALANCE.id("service"))
    assert await controller.read_tables(wanted) == [entry]
    assert await controller.read(all_members(None), all_groups(None)) == []
    other = one_shot((3, 1))
    await controller.write(modify(other))
    assert await controller.read_tables(wanted) == [other]
    assert set(ports_used(rig)) == {3}
    keeping = points_to(9)
    keeping.ClearField("action")
    await controller.write(modify(keeping))
    assert await controller.read_tables(wanted) == [other]
    await controller.write(delete(other))
    assert await controller.read_tables(wanted) == []
    # Nothing is left behind, so members and groups may come now.
    await controller.write(insert(member(1)))
    assert await refused(controller, insert(entry)) == INVALID


async def test_packets_do_not_notice_a_deletion_that_is_taken_back(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    entry = one_shot((1, 1), (2, 3), (3, 2))
    await controller.write(insert(entry))

    def path(flow: int) -> list[int]:
        rig.switch.inject(0, bytes([flow, 9, 0, 0]))
        return [port for port in rig.wires if rig.sent(port)]

    before = [path(flow) for flow in range(64)]
    assert len({tuple(ports) for ports in before}) == 3
    for atomicity in ("ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"):
        await controller.try_write(delete(entry), insert(p4rt.Entity()), atomicity=atomicity)
        assert [path(flow) for flow in range(64)] == before


async def test_one_shots_and_groups_do_not_mix(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(one_shot((1, 1))))
    assert await refused(controller, insert(member(1))) == INVALID
    assert await refused(controller, insert(group(1))) == INVALID
    assert await refused(controller, insert(points_to(1, action_profile_member_id=1 << 31))) == INVALID
    await controller.write(insert(member(1, 1, "uplinks")))  # another selector


async def test_bad_one_shots_leave_nothing(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    await controller.write(insert(one_shot((1, 1))))
    heavy = one_shot((1, 11), table="backup", key="label")
    many = one_shot((1, 1), (2, 1), (3, 1), (0, 1), table="backup", key="label")
    random = one_shot((1, 1), service=1)
    random.action.action_profile_action_set.action_selection_mode = p4rt.ActionProfileActionSet.RANDOM
    on_profile = BALANCE.table_entry("label", {"service": 1})
    on_profile.action.action_profile_action_set.action_profile_actions.add(weight=1)
    for bad, code in (
        (insert(one_shot((1, 1))), EXISTS),
        (insert(one_shot((1, 0), service=1)), INVALID),
        (insert(one_shot((1, 7), service=1)), INVALID),
        (insert(one_shot((1, 3), (2, 4), service=1)), INVALID),
        (modify(one_shot((1, 1), service=1)), NOT_FOUND),
        (insert(heavy), INVALID),
        (insert(many), INVALID),
        (insert(random), UNIMPLEMENTED),
        (insert(on_profile), INVALID),
    ):
        assert await refused(controller, bad) == code, bad
    profile = rig.switch.state.action_profile("BalanceIngress.paths")
    assert (len(list(profile.members())), len(list(profile.groups()))) == (1, 1)
    fitting = one_shot((1, 10), (2, 10), (3, 10), table="backup", key="label")
    await controller.write(insert(fitting))


async def test_reading_what_is_not_there(rig: Rig) -> None:
    controller = await rig.primary(BALANCE)
    assert await controller.read(all_members("paths", 5), all_groups("paths", 5)) == []
    for wanted, code in (
        (p4rt.Entity(action_profile_member=p4rt.ActionProfileMember(action_profile_id=0x11FFFFFF)), NOT_FOUND),
        (all_members(None, 5), INVALID),
        (all_groups(None, 5), INVALID),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await controller.read(wanted)
        assert canonical(errors(caught.value)[0].canonical_code) == code


def without_weights() -> P4:
    """The program as if its selectors were annotated with `@weights_disallowed`."""
    p4info = p4info_pb2.P4Info()
    p4info.CopyFrom(BALANCE.p4info)
    for profile in p4info.action_profiles:
        profile.weights_disallowed = profile.with_selector
    return P4(p4info, BALANCE.json)


async def test_where_weights_are_disallowed_members_have_none(rig: Rig) -> None:
    controller = await rig.primary(without_weights())
    await controller.write(insert(member(1)), insert(member(2, 2)), insert(group(7, (1, 0), (2, 0))))
    assert await controller.read(all_groups()) == [group(7, (1, 0), (2, 0))]
    assert (await controller.refused(insert(group(8, (1, 1)))))[0] == INVALID
    await controller.write(insert(points_to(9, action_profile_group_id=7)))
    left = [port for flow in range(64) for port, _ in rig.switch.process(0, bytes([flow, 9, 0, 0]))]
    assert set(left) == {1, 2}
    await controller.write(delete(points_to(9)), delete(group(7)), delete(member(1)), delete(member(2)))
    shots = one_shot((1, 0), (2, 0))
    await controller.write(insert(shots))
    assert await controller.read_tables(p4rt.TableEntry(table_id=BALANCE.id("service"))) == [shots]
    assert (await controller.refused(insert(one_shot((1, 1), service=8))))[0] == INVALID


async def test_weights_are_disallowed_in_selectors_only(rig: Rig) -> None:
    program = without_weights()
    for profile in program.p4info.action_profiles:
        profile.weights_disallowed = True
    controller = await rig.controller()
    with pytest.raises(grpc.aio.AioRpcError, match="weights_disallowed is for action selectors only"):
        await controller.set_pipeline("VERIFY", program.config)
