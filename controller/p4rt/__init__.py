"""An asyncio P4Runtime client: typed entities, a connection that survives, and a writer that reconciles.

Nothing here knows a P4 program, a protocol or a target; ids, widths and names come from the P4Info.
"""
