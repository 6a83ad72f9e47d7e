"""Links between switch processes: a veth pair, or two of them with a bridge between that can be pulled out.

simple_switch_grpc receives nothing on any port once one of its interfaces has been set down, not even when that is up
again; that an interface loses its carrier it takes well. So what fails is the far end of each veth pair, in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

from topologies.host_setup import FABRIC_MTU


@dataclass(frozen=True, slots=True)
class Cable:
    """A link with a middle. Its parts have names of at most 15 characters.

    Attributes:
        near, far: the interfaces of the two switches.
        number: one that no other cable of the namespace has.
    """

    near: str
    far: str
    number: int

    @property
    def bridge(self) -> str:
        """In the middle. Gone when it is deleted; all else goes with the switches' interfaces."""
        return f"cable{self.number}"

    @property
    def plugs(self) -> dict[str, str]:
        """What to set down so that a switch's interface loses its carrier, by that interface."""
        return {self.near: f"plug{self.number}a", self.far: f"plug{self.number}b"}

    def lines(self) -> list[str]:
        """What makes it, for `ip -batch`; the switches' interfaces are left down."""
        # Without learning and ageing, a bridge of two ports hands everything on.
        lines = [f"link add {self.bridge} type bridge ageing_time 0 stp_state 0 mcast_snooping 0"]
        for interface, plug in self.plugs.items():
            lines += [
                f"link add {interface} type veth peer name {plug}",
                f"link set {plug} mtu {FABRIC_MTU} master {self.bridge} up",
            ]
        return [*lines, f"link set {self.bridge} mtu {FABRIC_MTU} up"]
