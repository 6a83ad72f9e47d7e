"""From a tree to what each of its switches has to do."""

from __future__ import annotations

from controller.incc.group import Group
from controller.incc.network import Network
from controller.incc.outputs import Branch, MemberChild, NodeChild
from controller.incc.slots import Slots


def branches_of(network: Network, slots: Slots, group: Group) -> dict[str, Branch]:
    """The branch of every switch of a group's tree, in its present generation."""
    tree, eid = group.tree, group.eid
    assert tree is not None
    assert eid is not None
    iid = group.domain.iid
    ranks = {member: rank for rank, member in enumerate(group.members)}
    found: dict[str, Branch] = {}
    for node in tree.nodes.values():
        members = tuple(
            MemberChild(ranks[name], name, home.port, network.accelerators[name].addresses[iid])
            for name, home in zip(node.accelerators, node.members, strict=True)
        )
        nodes = []
        for below in node.nodes:
            port = network.port_to(node.switch, below)
            assert port is not None, "a tree joins switches that reach each other"
            nodes.append(NodeChild(tree.nodes[below].rank, below, port))
        held = slots.of(node.switch, group.number)
        assert held is not None, "slots are reserved before"
        found[node.switch] = Branch(
            group.number,
            iid,
            group.domain.carrier,
            eid,
            group.generation,
            held,
            node.rank,
            node.parent,
            members,
            tuple(nodes),
        )
    return found
