"""Groups of accelerators whose collectives the switches compute: membership, trees, slots. Machines without I/O."""

from controller.incc.domains import Carrier, Domain, EidPool, GroupEid
from controller.incc.errors import InccError
from controller.incc.manager import GroupManager
from controller.incc.network import MAX_CHILDREN, Accelerator, Home, Network, Way, Xtr
from controller.incc.outputs import (
    Branch,
    Broken,
    Clear,
    Departed,
    Ended,
    Forget,
    Formed,
    GroupView,
    Install,
    MemberChild,
    NodeChild,
    Order,
    Output,
    Register,
    Remove,
    Withdraw,
    Work,
)
from controller.incc.store import GroupRecord, GroupSnapshot, GroupStore, GroupStoreError, MemoryGroupStore
from controller.incc.tree import Node, Tree

__all__ = [
    "MAX_CHILDREN",
    "Accelerator",
    "Branch",
    "Broken",
    "Carrier",
    "Clear",
    "Departed",
    "Domain",
    "EidPool",
    "Ended",
    "Forget",
    "Formed",
    "GroupEid",
    "GroupManager",
    "GroupRecord",
    "GroupSnapshot",
    "GroupStore",
    "GroupStoreError",
    "GroupView",
    "Home",
    "InccError",
    "Install",
    "MemberChild",
    "MemoryGroupStore",
    "Network",
    "Node",
    "NodeChild",
    "Order",
    "Output",
    "Register",
    "Remove",
    "Tree",
    "Way",
    "Withdraw",
    "Work",
    "Xtr",
]
