"""PTF platform: ports are network interfaces, as in PTF's own `eth`, whose links can go down and come up again."""

from __future__ import annotations

import subprocess
from typing import Any

from ptf.dataplane import DataPlanePortLinux


class VethPort(DataPlanePortLinux):  # type: ignore[misc]  # PTF is not typed
    """An interface at the tester's end of a veth pair."""

    def recv(self) -> tuple[int, int, bytes, float] | None:
        """As PTF's; None instead of an error while the link is down, for an error would end PTF's receiver."""
        try:
            frame: tuple[int, int, bytes, float] = super().recv()
        except RuntimeError:
            return None
        return frame

    def down(self) -> None:
        """Takes the link down at both ends. Raises CalledProcessError."""
        self._set("down")

    def up(self) -> None:
        """Brings the link up again. Raises CalledProcessError."""
        self._set("up")

    def _set(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self.interface_name, state], check=True)


def platform_config_update(config: dict[str, Any]) -> None:
    """Called by PTF: names every port's class and interface."""
    config["port_map"] = {(device, port): name for device, port, name in config["interfaces"]}
    config["dataplane"] = {"portclass": VethPort}
