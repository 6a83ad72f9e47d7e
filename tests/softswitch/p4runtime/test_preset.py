"""Entries that the program brings along, constant and not; translated types in registers and digests."""

from __future__ import annotations

import grpc
from p4.config.v1 import p4info_pb2
from p4.v1 import p4data_pb2
from p4.v1 import p4runtime_pb2 as p4rt

from tests.softswitch.p4runtime.p4 import P4, delete, insert, load, modify
from tests.softswitch.p4runtime.rig import Rig

PRESET = load("preset")
DENIED = grpc.StatusCode.PERMISSION_DENIED
FRAME = b"\x01\x05"


def rule(selector: int, mask: int, port: int, priority: int) -> p4rt.TableEntry:
    return PRESET.table_entry(
        "rules", {"selector": (selector, mask)}, PRESET.action("forward", port), priority=priority
    )


def all_of(alias: str) -> p4rt.TableEntry:
    return p4rt.TableEntry(table_id=PRESET.id(alias))


FIRST, SECOND = rule(0x01, 0xFF, 1, 2), rule(0x02, 0x0F, 2, 1)


async def test_the_program_s_entries_are_read_with_priorities_that_order_them(rig: Rig) -> None:
    controller = await rig.primary(PRESET)
    assert await controller.read_tables(all_of("rules")) == [FIRST, SECOND]
    fixed = await controller.read_tables(all_of("fixed"))
    assert [(entry.priority, entry.is_const) for entry in fixed] == [(2, True), (1, True)]


async def test_entries_without_const_can_be_changed_deleted_and_overruled(rig: Rig) -> None:
    controller = await rig.primary(PRESET)
    await controller.write(modify(rule(0x01, 0xFF, 3, 2)), delete(SECOND), insert(rule(0x01, 0x01, 0, 9)))
    assert rig.switch.process(1, FRAME) == [(0, FRAME)]
    await controller.write(delete(rule(0x01, 0x01, 0, 9)))
    assert rig.switch.process(1, FRAME) == [(3, FRAME)]
    assert rig.switch.process(1, b"\x02\x00") == []
    assert (await controller.refused(insert(rule(0x01, 0xFF, 1, 2))))[0] == grpc.StatusCode.ALREADY_EXISTS


async def test_const_entries_stay(rig: Rig) -> None:
    controller = await rig.primary(PRESET)
    entry = PRESET.table_entry("fixed", {"selector": (0xF0, 0xF0)}, PRESET.action("forward", 1), priority=2)
    for update in (delete(entry), modify(entry), insert(entry)):
        assert (await controller.refused(update))[0] == DENIED


async def test_a_switch_without_p4info_takes_every_entry_of_the_program_for_constant(rig: Rig) -> None:
    """bmv2 JSON does not tell `entries` from `const entries`."""
    await rig.primary(PRESET)
    assert rig.switch.program is not None
    assert not rig.switch.state.table("PresetIngress.rules").immutable
    rig.switch.set_program(rig.switch.program)
    assert rig.switch.state.table("PresetIngress.rules").immutable


async def test_a_reconciled_pipeline_has_the_entries_as_the_client_left_them(rig: Rig) -> None:
    controller = await rig.primary(PRESET)
    changed = rule(0x01, 0xFF, 3, 2)
    await controller.write(modify(changed), delete(SECOND))
    await controller.set_pipeline("RECONCILE_AND_COMMIT", PRESET.config)
    assert await controller.read_tables(all_of("rules")) == [changed]
    assert len(await controller.read_tables(all_of("fixed"))) == 2
    await controller.set_pipeline("VERIFY_AND_COMMIT", PRESET.config)
    assert await controller.read_tables(all_of("rules")) == [FIRST, SECOND]


async def test_translated_types_in_registers(rig: Rig) -> None:
    controller = await rig.primary(PRESET)
    cell = p4rt.RegisterEntry(
        register_id=PRESET.id("last_tenant"), index=p4rt.Index(index=2), data=p4data_pb2.P4Data(bitstring=b"blue")
    )
    await controller.write(modify(p4rt.Entity(register_entry=cell)))
    (read,) = await controller.read(p4rt.Entity(register_entry=cell))
    assert read.register_entry == cell
    assert rig.switch.state.register("PresetIngress.last_tenant").read(2) == 0xFF  # the highest free number
    wrong = p4rt.RegisterEntry(register_id=cell.register_id, data=p4data_pb2.P4Data(enum="blue"))
    assert (await controller.refused(modify(p4rt.Entity(register_entry=wrong))))[0] == (
        grpc.StatusCode.INVALID_ARGUMENT
    )


async def test_translated_types_in_digests(rig: Rig) -> None:
    controller = await rig.primary(PRESET)
    digest = p4rt.DigestEntry(digest_id=PRESET.id("seen_t"), config=p4rt.DigestEntry.Config(max_list_size=1))
    await controller.write(insert(p4rt.Entity(digest_entry=digest)))
    rig.switch.process(257, FRAME)
    (sample,) = (await controller.receive("digest")).digest.data
    port, tenant, selector = sample.struct.members
    assert (port.bitstring, tenant.bitstring, selector.bitstring) == (b"\x01\x01", b"5", b"\x01")


async def test_a_table_without_key_may_be_missing_from_the_program(rig: Rig) -> None:
    """p4c drops tables that do nothing, and still describes them in the P4Info."""
    p4info = p4info_pb2.P4Info()
    p4info.CopyFrom(PRESET.p4info)
    no_action = PRESET.id("NoAction")
    p4info.tables.add(
        preamble=p4info_pb2.Preamble(id=0x02000001, name="PresetIngress.nothing", alias="nothing"),
        action_refs=[p4info_pb2.ActionRef(id=no_action)],
    )
    controller = await rig.primary(P4(p4info, PRESET.json))
    assert len(await controller.read_tables(p4rt.TableEntry())) == 4
    entry = p4rt.TableEntry(table_id=0x02000001, is_default_action=True)
    assert (await controller.refused(modify(entry)))[0] == grpc.StatusCode.NOT_FOUND
