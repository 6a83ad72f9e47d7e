"""How much one switch and one fabric can have: sizes of the P4 program's tables, as its P4Info tells them."""

from __future__ import annotations

from typing import Final

PORTS: Final = 509
"""Ports of a switch, numbered from 1; 510 is the controller's, 511 drops."""
RLOCS: Final = 2048
"""Routes in `underlay_ipv4` and in `underlay_ipv6`: RLOCs and Map-Servers of a fabric."""
PATHS: Final = 64
"""Members of a group of `underlay_selector`: equal-cost ways to one RLOC."""
RLOC_SET: Final = 64
"""Members of a group of `rloc_selector`: xTRs that one EID is behind."""
INSTANCES: Final = 4096
"""Entries of `instance`: Instance-IDs of both domains."""
EIDS: Final = 16384
"""Entries of `scale_out_ipv4`, `scale_out_ipv6` and `scale_up`, each."""
POD_RLOCS: Final = 1024
"""Entries of `site_of_rloc`: xTRs of a PoD."""
