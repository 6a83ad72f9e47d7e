"""A writer to a switch of the test's own, and entities of the catalogue for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controller.p4rt.actions import Action, ActionSet, GroupRef, MemberRef
from controller.p4rt.client import P4RuntimeClient
from controller.p4rt.entities import (
    ActionProfileGroup,
    ActionProfileMember,
    CloneSession,
    DigestConfig,
    GroupMember,
    MeterCell,
    MeterConfig,
    MulticastGroup,
    Replica,
    State,
    TableEntry,
    ValueSet,
)
from controller.p4rt.failures import Failure
from controller.p4rt.matches import Exact
from controller.p4rt.reconcile import Writer
from tests.p4rt.fake_store import Update
from tests.p4rt.fake_switch import FakeSwitch
from tests.p4rt.support import QUICK

INSERT, MODIFY, DELETE = Update.INSERT, Update.MODIFY, Update.DELETE
SELECTOR = "CatalogueIngress.nexthop_selector"


def deliver(mark: int = 1) -> Action:
    return Action("CatalogueIngress.deliver", {"port": 1, "mark": mark})


def route(vrf: int, mark: int = 1) -> TableEntry:
    return TableEntry("CatalogueIngress.routes4", {"vrf": Exact(vrf)}, deliver(mark))


def nexthop(number: int, target: GroupRef | MemberRef | ActionSet) -> TableEntry:
    return TableEntry("CatalogueIngress.nexthops", {"nexthop": Exact(number)}, target)


MEMBER = ActionProfileMember(SELECTOR, 1, deliver())
GROUP = ActionProfileGroup(SELECTOR, 1, [GroupMember(1)])
NEXTHOP = nexthop(1, GroupRef(1))
EVERYTHING: list[State] = [
    NEXTHOP,
    GROUP,
    MEMBER,
    route(1),
    TableEntry.default("CatalogueIngress.routes6", deliver()),
    MulticastGroup(1, [Replica(1)]),
    CloneSession(7, [Replica(1)]),
    DigestConfig("learn_t", max_list_size=1),
    MeterCell("CatalogueIngress.vrf_rate", 3, MeterConfig(1, 1, 1, 1)),
    ValueSet("CatalogueParser.tunnel_types", [{"field1": Exact(5)}]),
]


@asynccontextmanager
async def writing(client: P4RuntimeClient, batch: int = 500) -> AsyncIterator[Writer]:
    async with Writer(client, batch=batch, backoff=QUICK) as writer:
        yield writer


async def settled(writer: Writer) -> tuple[Failure, ...]:
    async with asyncio.timeout(10):
        return await writer.settled()


def held(switch: FakeSwitch, client: P4RuntimeClient) -> set[object]:
    return {client.codec.decode(entity) for entity in switch.held.values()}
