"""A session of p4runtime-shell, run by its own environment: reads a table, inserts an entry, reads it back.

Arguments: address of the P4Runtime server, device id. Prints the number of entries before and after.
"""

import sys

import p4runtime_sh.shell as sh

TABLE = "FabricIngress.map_cache.scale_out_ipv4"


def count() -> int:
    """Entries of the table."""
    found: list[object] = []
    sh.TableEntry(TABLE).read(found.append)
    return len(found)


address, device = sys.argv[1:]
# Higher than any controller's, which are times in nanoseconds: the shell becomes primary.
sh.setup(device_id=int(device), grpc_addr=address, election_id=(1, 0))
try:
    before = count()
    entry = sh.TableEntry(TABLE)(action=f"{TABLE}.unknown")
    entry.match["iid"] = "4097"
    entry.match["eid"] = "60.0.0.0/8"
    entry.insert()
    print(f"entries before {before} after {count()}")
finally:
    sh.teardown()  # its threads would keep the process alive
