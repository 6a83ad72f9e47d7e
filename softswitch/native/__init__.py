"""The native engine: a program as machine code.

A program is translated to LLVM IR when it is set (:mod:`softswitch.native.translate`), together with a runtime that is
the same for all programs (:mod:`softswitch.native.runtime`, written in the language of :mod:`softswitch.native.words`).
LLVM makes an object file of both, which is kept on disk under the digest of everything it depends on.

*One place for state.* Whatever packets write - counters, registers, meters, times of last hits - is memory that the
objects of :mod:`softswitch.state` own and that machine code knows by address: nothing is copied, so the control plane
reads what was counted a moment ago, and the reference engine, tracing a packet meanwhile, counts in the same cells.
Whatever the control plane writes - entries, members, groups, replicas, value sets - is kept by those objects in
Python and, told change by change to :mod:`softswitch.native.mirror`, in a form for lookups by machine code.

*Packets* stay in native memory. A hub (:mod:`softswitch.native.hub`) runs all switches that share a work queue: a ring
of received packets for each switch, and ``run``, which takes a batch from each in turn. What leaves by a link to
another of its switches goes into that one's ring. What leaves by a port that Python serves, to the controller, or is a
digest, becomes an event, and events are handed to Python in batches. ``run`` is called in slices from the event loop's
thread and changes of the state come from the same thread, so each of them falls between two packets: an entry is there
or is not, for every packet. The interpreter's lock is released meanwhile.

*Seams.* A link with effects, a recorded port, a pcap file: each is a port that Python serves. A packet that shall be
traced is an event too, and enters the reference engine.

What cannot be translated raises :class:`softswitch.native.errors.UntranslatableError`, naming the construct.
"""
